/** Two platforms side by side in one stack, in one network: say, one for customers and one for experiments. */
import { App, RemovalPolicy, Stack } from 'aws-cdk-lib';
import { InferencePlatform, type InferencePolicy, PlatformKey, PlatformNetwork } from 'cdk-inference-platform';

const app = new App();
const stack = new Stack(app, 'Inference');
const encryptionKey = new PlatformKey(stack, 'Key');
const { vpc } = new PlatformNetwork(stack, 'Network', { encryptionKey });

const policyFor = (tenant: string): InferencePolicy => ({
  plans: [{ name: 'standard', requestsPerMinute: 600, tokensPerMinute: 200_000 }],
  tenants: [{ name: tenant, plan: 'standard' }],
  backends: [{ name: 'gpu' }],
  models: [{ name: 'qwen3-8b', backends: ['gpu'] }],
});
const fleets = { gpu: { modelServer: { model: 'Qwen/Qwen3-8B' } } };

new InferencePlatform(stack, 'Customers', { policy: policyFor('acme'), fleets, vpc, encryptionKey });
new InferencePlatform(stack, 'Experiments', {
  policy: policyFor('research'),
  fleets,
  vpc,
  encryptionKey,
  cloudWatchRole: false,
  removalPolicy: RemovalPolicy.DESTROY,
});
