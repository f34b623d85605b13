/** Two platforms side by side in one network, under one key: say, one for customers and one for experiments. */
import { App, RemovalPolicy, Stack } from 'aws-cdk-lib';
import { InferencePlatform, type InferencePolicy, PlatformKey, PlatformNetwork } from 'cdk-inference-platform';

const app = new App();
const shared = new Stack(app, 'Shared');
const encryptionKey = new PlatformKey(shared, 'Key');
const { vpc } = new PlatformNetwork(shared, 'Network', { encryptionKey });

const policyFor = (tenant: string): InferencePolicy => ({
  plans: [{ name: 'standard', requestsPerMinute: 600, tokensPerMinute: 200_000 }],
  tenants: [{ name: tenant, plan: 'standard' }],
  backends: [{ name: 'gpu' }],
  models: [{ name: 'qwen3-8b', backends: ['gpu'] }],
});
const fleets = { gpu: { modelServer: { model: 'Qwen/Qwen3-8B' } } };

// A stack each: both have some 240 resources, and CloudFormation takes 500 in one.
new InferencePlatform(new Stack(app, 'Customers'), 'Platform', {
  policy: policyFor('acme'),
  fleets,
  vpc,
  encryptionKey,
});
new InferencePlatform(new Stack(app, 'Experiments'), 'Platform', {
  policy: policyFor('research'),
  fleets,
  vpc,
  encryptionKey,
  cloudWatchRole: false,
  removalPolicy: RemovalPolicy.DESTROY,
});
