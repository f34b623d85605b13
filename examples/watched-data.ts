/** Data with everything on, and with nothing: Glue between stages, features in Valkey, alarms and a page for all of it. */
import { App, Duration, Stack } from 'aws-cdk-lib';
import { Schedule } from 'aws-cdk-lib/aws-events';
import * as iam from 'aws-cdk-lib/aws-iam';
import * as lambda from 'aws-cdk-lib/aws-lambda';
import * as secretsmanager from 'aws-cdk-lib/aws-secretsmanager';
import * as sns from 'aws-cdk-lib/aws-sns';
import {
  DataAlarms,
  DataDashboard,
  DataPipeline,
  FeatureStore,
  FeatureType,
  LogBucket,
  type PipelineDefinition,
  PlatformKey,
  PlatformNetwork,
  ResponseCache,
  Retrieval,
} from 'cdk-inference-platform';

const text = {
  type: 'object',
  required: ['id', 'text'],
  properties: { id: { type: 'string', minLength: 1 }, text: { type: 'string' } },
};
const embedded = (name: string): PipelineDefinition => ({
  name,
  stages: [
    { name: 'parse', work: { parse: {} } },
    {
      name: 'translate',
      work: { glueJob: { name: 'translate' } },
      input: { type: 'object' },
      output: text,
      rules: [{ name: 'one-id-each', unique: ['id'] }],
    },
    { name: 'embed', work: { embed: { model: 'bge-m3', dimensions: 1024 } }, input: text },
  ],
  retrieval: {},
});
const features = {
  name: 'shop',
  features: [
    { name: 'spend', entity: 'customer', type: FeatureType.NUMBER, ttlSeconds: 3600, sourceVersion: 'v1', default: 0 },
  ],
};

const app = new App();
const full = new Stack(app, 'Full');
const encryptionKey = new PlatformKey(full, 'Key');
const logBucket = new LogBucket(full, 'Logs');
const { vpc } = new PlatformNetwork(full, 'Network', { encryptionKey });
const pipeline = new DataPipeline(full, 'Pipeline', {
  ...{ definition: embedded('translated'), glueJobs: { translate: 'translate' } },
  ...{ embeddingUrl: 'https://models.example.com/v1', encryptionKey, logBucket },
  embeddingKey: secretsmanager.Secret.fromSecretNameV2(full, 'ModelKey', 'pipeline/model-key'),
  publishGate: lambda.Function.fromFunctionName(full, 'Gate', 'gate'),
  schedule: Schedule.rate(Duration.days(1)),
  ...{ triggerSuffix: '_READY', malwareScan: true, holdOnAnomaly: true, costPerGigabyte: 40 },
  ...{ maxConcurrency: 20, backfillConcurrency: 2, toleratedFailurePercentage: 5 },
  ...{ landingRetention: Duration.days(90), timeout: Duration.hours(4), memorySize: 3008 },
});
const retrieval = new Retrieval(full, 'Retrieval', { pipeline });
const store = new FeatureStore(full, 'Features', {
  ...{ definition: features, pinned: features, encryptionKey, logBucket, vpc },
  onlineStore: new ResponseCache(full, 'Online', { vpc, encryptionKey }),
  ...{ sampleRate: 0.1, trainingDays: ['2026-03-01', '2026-03-31'], mostBytesPerQuery: 10 ** 10 },
  compactionSchedule: Schedule.rate(Duration.days(1)),
});
const watched = {
  pipelines: { translated: pipeline },
  featureStores: { shop: store },
  retrievals: { search: retrieval },
};
const topic = new sns.Topic(full, 'OnCall', { masterKey: encryptionKey, enforceSSL: true });
const { alarms } = new DataAlarms(full, 'Alarms', { ...watched, topic, mostVersionAge: Duration.days(2) });
new DataDashboard(full, 'Dashboard', { ...watched, alarms });

const least = new Stack(app, 'Least');
new DataPipeline(least, 'Pipeline', {
  definition: { name: 'texts', stages: [{ name: 'parse', work: { parse: {} } }] },
});
const jobs = new DataPipeline(least, 'Jobs', {
  ...{ definition: embedded('jobs'), glueJobs: { translate: 'translate' } },
  embeddingUrl: 'https://models.example.com/v1',
});
jobs.grantRun(new iam.Role(least, 'Runner', { assumedBy: new iam.AccountRootPrincipal() }));
new FeatureStore(least, 'Features', { definition: features });

app.synth();
