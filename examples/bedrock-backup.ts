/** A fleet with Amazon Bedrock as its backup, and a retrieval service behind the same entry, keys and limits. */
import { App, Stack } from 'aws-cdk-lib';
import { InferencePlatform, ModelKind } from 'cdk-inference-platform';

const app = new App();
const stack = new Stack(app, 'Inference');

new InferencePlatform(stack, 'Platform', {
  policy: {
    plans: [{ name: 'standard', requestsPerMinute: 600, tokensPerMinute: 200_000 }],
    tenants: [{ name: 'acme', plan: 'standard' }],
    backends: [
      { name: 'gpu' },
      // An inference profile: Bedrock chooses among the regions of the EU.
      { name: 'nova', bedrock: { modelId: 'eu.amazon.nova-lite-v1:0', region: 'eu-west-1' } },
      { name: 'search', url: 'https://search.example.com', path: '/v2/query', timeouts: { firstTokenMs: 2000 } },
    ],
    models: [
      { name: 'qwen3-8b', backends: ['gpu', 'nova'] },
      // POST /v1/services/retrieval
      { name: 'retrieval', kind: ModelKind.SERVICE, backends: ['search'] },
    ],
    cache: { ttlSeconds: 600 },
  },
  fleets: { gpu: { modelServer: { model: 'Qwen/Qwen3-8B' } } },
});
