/** Chats whose last message means what another meant before are answered alike; one model's answers are everybody's. */
import { App, Stack } from 'aws-cdk-lib';
import { CacheScope, InferencePlatform, ModelKind } from 'cdk-inference-platform';

const app = new App();
const stack = new Stack(app, 'Inference');

new InferencePlatform(stack, 'Platform', {
  policy: {
    plans: [{ name: 'standard', requestsPerMinute: 600, tokensPerMinute: 200_000 }],
    tenants: [
      { name: 'acme', plan: 'standard' },
      { name: 'globex', plan: 'standard' },
    ],
    backends: [
      { name: 'gpu', url: 'https://models.example.com' },
      { name: 'vectors', url: 'https://vectors.example.com', timeouts: { connectMs: 100, totalMs: 5000 } },
    ],
    models: [
      { name: 'qwen3-8b', backends: ['gpu'] },
      // Knows the public manual and nothing of a tenant's.
      { name: 'manual', backends: ['gpu'], cacheScope: CacheScope.SHARED },
      { name: 'bge-m3', kind: ModelKind.EMBEDDING, backends: ['vectors'] },
    ],
    cache: {
      ttlSeconds: 3600,
      semantic: { embeddingModel: 'bge-m3', minimumSimilarity: 0.97, timeoutMs: 200 },
    },
  },
});
