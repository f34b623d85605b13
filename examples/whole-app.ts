/** A platform from nothing: one policy, one model on a fleet of its own, a second server elsewhere as its backup. */
import { App, CfnOutput, Stack } from 'aws-cdk-lib';
import { InferencePlatform } from 'cdk-inference-platform';

const app = new App();
const stack = new Stack(app, 'Inference');

const platform = new InferencePlatform(stack, 'Platform', {
  policy: {
    plans: [{ name: 'standard', requestsPerMinute: 600, tokensPerMinute: 200_000 }],
    tenants: [{ name: 'acme', plan: 'standard' }],
    backends: [{ name: 'gpu' }, { name: 'backup', url: 'https://models.example.com' }],
    models: [{ name: 'qwen3-8b', backends: ['gpu', 'backup'], degradedAnswer: 'Please try again in a minute.' }],
    cache: { ttlSeconds: 3600 },
  },
  fleets: { gpu: { modelServer: { model: 'Qwen/Qwen3-8B', args: ['--max-model-len', '16384'] } } },
});

new CfnOutput(stack, 'BaseUrl', { value: platform.api.baseUrl });
new CfnOutput(stack, 'ReadKeyOfAcme', { value: platform.ratePlans.readKeyCommand('acme') });
