/** Each construct alone, in stacks that know nothing of each other but what is passed between them. */
import { App, Stack } from 'aws-cdk-lib';
import { Schedule } from 'aws-cdk-lib/aws-autoscaling';
import * as sns from 'aws-cdk-lib/aws-sns';
import {
  BreakerControl,
  FleetScaling,
  GpuFleet,
  InferenceApi,
  type InferencePolicy,
  JobQueue,
  ModelEndpoint,
  PlatformAlarms,
  PlatformKey,
  PlatformNetwork,
  PredictiveScaling,
  RatePlans,
  ResponseCache,
} from 'cdk-inference-platform';

const app = new App();
const encryptionKey = new PlatformKey(new Stack(app, 'Key'), 'Key');
const { vpc } = new PlatformNetwork(new Stack(app, 'Network'), 'Network');

// A queue for background work, on a key of the company's.
const queue = new JobQueue(new Stack(app, 'Queue'), 'Jobs', { encryptionKey });

// A store for limits, breakers and answers.
const cacheStack = new Stack(app, 'Cache');
const cache = new ResponseCache(cacheStack, 'Cache', { vpc });

// A fleet behind a balancer.
const fleetStack = new Stack(app, 'Fleet');
const endpoint = new ModelEndpoint(fleetStack, 'Endpoint', { vpc });
const fleet = new GpuFleet(fleetStack, 'Gpu', { vpc, modelServer: { model: 'Qwen/Qwen3-8B' } });
fleet.attachTo(endpoint.targetGroup);

// An entry to it, with plans.
const policy: InferencePolicy = {
  plans: [{ name: 'standard', requestsPerMinute: 600, tokensPerMinute: 200_000 }],
  tenants: [{ name: 'acme', plan: 'standard' }],
  backends: [{ name: 'gpu', url: 'https://models.example.com' }],
  models: [{ name: 'qwen3-8b', backends: ['gpu'] }],
};
const apiStack = new Stack(app, 'Api');
const store = new ResponseCache(apiStack, 'Store', { vpc, nodes: 2 });
const api = new InferenceApi(apiStack, 'Api', { policy, vpc, store });
new RatePlans(apiStack, 'Plans', { policy, restApi: api.restApi, tenants: api.tenants });

// A function by which operators read and override the gateway's breakers.
const { policyLayer, serviceName } = api.inference;
new BreakerControl(apiStack, 'BreakerControl', { policyLayer, serviceName, vpc, store });

// Scaling on real work: that of a fleet which calls come to, and of one which works off the queue and may stand still.
const scalingStack = new Stack(app, 'Scaling');
const batchFleet = new GpuFleet(scalingStack, 'Batch', {
  vpc,
  modelServer: { model: 'Qwen/Qwen3-8B' },
  minCapacity: 0,
});
const scaling = new FleetScaling(scalingStack, 'Scaling', {
  vpc,
  store: new ResponseCache(scalingStack, 'Store', { vpc, nodes: 2 }),
  queue: queue.queue,
  fleets: {
    chat: {
      fleet: new GpuFleet(scalingStack, 'Chat', { vpc, modelServer: { model: 'Qwen/Qwen3-8B' } }),
      predictiveScaling: PredictiveScaling.FORECAST_AND_SCALE,
      peaks: [
        {
          name: 'Office',
          start: Schedule.cron({ weekDay: 'MON-FRI', hour: '7', minute: '45' }),
          end: Schedule.cron({ weekDay: 'MON-FRI', hour: '18', minute: '0' }),
          timeZone: 'Europe/Berlin',
          minCapacity: 4,
        },
      ],
    },
    batch: { fleet: batchFleet, jobsPerSecond: 4 },
  },
});

// Alarms on a topic that is there already.
const alarmStack = new Stack(app, 'Alarms');
new PlatformAlarms(alarmStack, 'Alarms', {
  topic: sns.Topic.fromTopicArn(alarmStack, 'OnCall', 'arn:aws:sns:us-east-1:111122223333:on-call'),
  queue,
  cache,
  fleets: { gpu: fleet },
  endpoints: { gpu: endpoint },
  scaling,
});
