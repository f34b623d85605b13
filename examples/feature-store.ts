/** Features from one definition: trained on with Athena, served to clients of the gateway, gated by the pinned schema. */
import { App, CfnOutput, Stack } from 'aws-cdk-lib';
import {
  type FeatureDefinition,
  FeatureStore,
  FeatureType,
  FunctionEndpoint,
  InferenceApi,
  type InferencePolicy,
  ModelKind,
  PlatformKey,
  PlatformNetwork,
  ResponseCache,
} from 'cdk-inference-platform';

const hour = 3600;
const source = { entity: 'customer', sourceVersion: 'orders-v3' };
const definition: FeatureDefinition = {
  name: 'shop',
  features: [
    { name: 'spend_30d', type: FeatureType.NUMBER, ttlSeconds: 48 * hour, default: 0, ...source },
    { name: 'orders_30d', type: FeatureType.INTEGER, ttlSeconds: 48 * hour, default: 0, ...source },
    { name: 'tier', type: FeatureType.TEXT, ttlSeconds: 720 * hour, default: 'none', ...source },
  ],
};

// What is deployed; in a repository of your own: FeatureDocument.fromFile('features.pinned.json').
const pinned: FeatureDefinition = { name: 'shop', features: definition.features.slice(0, 2) };

const app = new App();
const stack = new Stack(app, 'Features');
const encryptionKey = new PlatformKey(stack, 'Key');
const { vpc } = new PlatformNetwork(stack, 'Network', { encryptionKey });
const features = new FeatureStore(stack, 'Features', { definition, pinned, encryptionKey, sampleRate: 0.05 });

// POST /v1/services/features {"entity": "customer", "keys": ["c-17"]}, behind the gateway's keys, limits and breaker.
const endpoint = new FunctionEndpoint(stack, 'Endpoint', { vpc, function: features.serve.function, encryptionKey });
const policy: InferencePolicy = {
  plans: [{ name: 'standard', requestsPerMinute: 600, tokensPerMinute: 200_000 }],
  tenants: [{ name: 'acme', plan: 'standard' }],
  backends: [{ name: 'features', timeouts: { firstTokenMs: 2000, totalMs: 5000 } }],
  models: [{ name: 'features', kind: ModelKind.SERVICE, backends: ['features'] }],
};
const store = new ResponseCache(stack, 'Store', { vpc, encryptionKey });
new InferenceApi(stack, 'Api', { policy, vpc, store, endpoints: { features: endpoint }, encryptionKey });

// A training set of the labels in a table of yours, each with the features as they were at its time.
new CfnOutput(stack, 'TrainingSet', {
  value: features.trainingSetQuery({
    entity: 'customer',
    labelDatabase: 'labels',
    labelTable: 'churn',
    keyColumn: 'customer_id',
    timeColumn: 'at_ms',
    features: ['spend_30d'],
    firstDay: '2026-03-01',
    lastDay: '2026-03-31',
  }),
});

// Served from Valkey in place of a table.
const second = new Stack(app, 'OnValkey');
const valkey = new ResponseCache(second, 'Store', { vpc });
new FeatureStore(second, 'Features', { definition, onlineStore: valkey, vpc });
