/** Batches and single jobs: on a gateway of one's own, with its own alarms; and in a platform, tuned and with a webhook. */
import { App, Duration, Stack } from 'aws-cdk-lib';
import * as sns from 'aws-cdk-lib/aws-sns';
import {
  BatchJobs,
  InferenceApi,
  InferencePlatform,
  type InferencePolicy,
  PlatformAlarms,
  PlatformKey,
  PlatformNetwork,
  RatePlans,
  ResponseCache,
} from 'cdk-inference-platform';

const app = new App();

// A gateway to servers that exist, and background work on it. API and functions stand in one stack.
const stack = new Stack(app, 'Gateway');
const encryptionKey = new PlatformKey(stack, 'Key');
const { vpc } = new PlatformNetwork(stack, 'Network', { encryptionKey });
const policy: InferencePolicy = {
  plans: [{ name: 'standard', requestsPerMinute: 600, tokensPerMinute: 200_000, parallelRequests: 32 }],
  tenants: [{ name: 'acme', plan: 'standard' }],
  backends: [{ name: 'gpu', url: 'https://models.example.com', capacityTokens: 200_000 }],
  models: [{ name: 'qwen3-8b', backends: ['gpu'] }],
  batch: { ceiling: 0.5, parallelItems: 100, retentionDays: 7 },
};
const store = new ResponseCache(stack, 'Store', { vpc, encryptionKey });
const gateway = new InferenceApi(stack, 'Api', { policy, vpc, store, encryptionKey });
new RatePlans(stack, 'Plans', { policy, restApi: gateway.restApi, tenants: gateway.tenants, encryptionKey });
const batchJobs = new BatchJobs(stack, 'Batch', { gateway, encryptionKey });
new PlatformAlarms(stack, 'Alarms', {
  topic: sns.Topic.fromTopicArn(stack, 'OnCall', 'arn:aws:sns:us-east-1:111122223333:on-call'),
  batchJobs,
  jobAge: Duration.minutes(20),
  itemFailureRate: 5,
});

// Without a key of one's own: everything encrypted by the services' keys.
const plain = new Stack(app, 'Plain');
const network = new PlatformNetwork(plain, 'Network');
new BatchJobs(plain, 'Batch', {
  gateway: new InferenceApi(plain, 'Api', {
    policy: { ...policy, tenants: [{ name: 'acme', plan: 'standard' }] },
    vpc: network.vpc,
    store: new ResponseCache(plain, 'Store', { vpc: network.vpc }),
  }),
});

// A platform has them anyway. This one tells a tenant of each batch's end, and its fleet counts the waiting items.
new InferencePlatform(new Stack(app, 'Platform'), 'Platform', {
  policy: {
    ...policy,
    tenants: [{ name: 'acme', plan: 'standard', webhook: { url: 'https://acme.example.com/hooks/batches' } }],
    backends: [{ name: 'gpu' }],
  },
  fleets: { gpu: { modelServer: { model: 'Qwen/Qwen3-8B' } } },
  scaling: { gpu: { jobsPerSecond: 4 } },
});
