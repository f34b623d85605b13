/** A platform that answers from a company's own documents and features, embedding through its own gateway below live traffic. */
import { App, Stack } from 'aws-cdk-lib';
import { Schedule } from 'aws-cdk-lib/aws-events';
import {
  type FeatureDefinition,
  FeatureType,
  InferencePlatform,
  ModelKind,
  type PipelineDefinition,
} from 'cdk-inference-platform';

const manual: PipelineDefinition = {
  name: 'manual',
  stages: [
    { name: 'parse', work: { parse: {} } },
    { name: 'clean', work: { normalise: {} } },
    { name: 'chunk', work: { chunk: { mostTokens: 256 } } },
    { name: 'embed', work: { embed: { model: 'bge-m3', dimensions: 1024, batchSize: 32 } } },
  ],
  retrieval: { goldenSet: 'golden.jsonl', leastRecall: 0.9 },
};

const customers: FeatureDefinition = {
  name: 'customers',
  features: [
    {
      name: 'spend_30d',
      entity: 'customer',
      type: FeatureType.NUMBER,
      ttlSeconds: 172_800,
      sourceVersion: 'orders-v3',
      default: 0,
    },
  ],
};

const app = new App();
const stack = new Stack(app, 'DataPlatform');

new InferencePlatform(stack, 'Platform', {
  policy: {
    plans: [
      { name: 'standard', requestsPerMinute: 600, tokensPerMinute: 200_000 },
      // What a backfill may take, however much there is to embed; and never more than `batch.ceiling` of it at once.
      { name: 'background', requestsPerMinute: 300, tokensPerMinute: 400_000, models: ['bge-m3'] },
    ],
    tenants: [
      { name: 'acme', plan: 'standard' },
      { name: 'manual', plan: 'background' },
    ],
    backends: [
      { name: 'chat' },
      { name: 'embedder', url: 'https://embeddings.example.com' },
      { name: 'index', timeouts: { firstTokenMs: 5000, totalMs: 20_000 } },
      { name: 'keywords', url: 'https://search.example.com', path: '/manual' },
      { name: 'online', timeouts: { firstTokenMs: 1000, totalMs: 5000 } },
    ],
    models: [
      { name: 'qwen3-8b', backends: ['chat'] },
      { name: 'bge-m3', kind: ModelKind.EMBEDDING, backends: ['embedder'] },
      // A search by words answers while the index cannot.
      { name: 'retrieval', kind: ModelKind.SERVICE, backends: ['index', 'keywords'] },
      { name: 'features', kind: ModelKind.SERVICE, backends: ['online'] },
    ],
  },
  fleets: { chat: { modelServer: { model: 'Qwen/Qwen3-8B' } } },
  dataPipelines: {
    manual: {
      definition: manual,
      tenant: 'manual',
      backend: 'index',
      schedule: Schedule.cron({ hour: '3', minute: '0' }),
      malwareScan: true,
    },
  },
  featureStores: { customers: { definition: customers, backend: 'online', servesFromCache: true } },
});
