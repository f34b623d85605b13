/** A manual that answers questions: what lands is chunked, embedded and published, and found through the gateway. */
import { App, ArnFormat, Stack } from 'aws-cdk-lib';
import { Schedule } from 'aws-cdk-lib/aws-events';
import * as lambda from 'aws-cdk-lib/aws-lambda';
import * as secretsmanager from 'aws-cdk-lib/aws-secretsmanager';
import {
  DataPipeline,
  FaultAction,
  FunctionEndpoint,
  InferenceApi,
  type InferencePolicy,
  ModelKind,
  PersonalData,
  type PipelineDefinition,
  PlatformKey,
  PlatformNetwork,
  ResponseCache,
  Retrieval,
} from 'cdk-inference-platform';

const manual: PipelineDefinition = {
  name: 'manual',
  stages: [
    { name: 'parse', work: { parse: {} } },
    { name: 'clean', work: { normalise: {} } },
    { name: 'redact', work: { redact: { kinds: [PersonalData.EMAIL, PersonalData.API_KEY] } } },
    { name: 'chunk', work: { chunk: { mostTokens: 256 } } },
    { name: 'embed', work: { embed: { model: 'bge-m3', dimensions: 1024 } } },
  ],
  monitors: { minimumHistory: 14 },
  retrieval: { goldenSet: 'golden.jsonl', leastRecall: 0.9 },
};

const app = new App();
const stack = new Stack(app, 'Manual');
const encryptionKey = new PlatformKey(stack, 'Key');
const { vpc } = new PlatformNetwork(stack, 'Network', { encryptionKey });
const pipeline = new DataPipeline(stack, 'Pipeline', {
  definition: manual,
  embeddingUrl: 'https://models.example.com/v1',
  embeddingKey: secretsmanager.Secret.fromSecretNameV2(stack, 'ModelKey', 'pipeline/model-key'),
  schedule: Schedule.cron({ hour: '3', minute: '0' }),
  malwareScan: true,
  costPerGigabyte: 40,
  encryptionKey,
});

// POST /v1/services/retrieval {"query": "When does a breaker open?"}
const retrieval = new Retrieval(stack, 'Retrieval', { pipeline });
const endpoint = new FunctionEndpoint(stack, 'Endpoint', { vpc, function: retrieval.handler.function, encryptionKey });
const policy: InferencePolicy = {
  plans: [{ name: 'standard', requestsPerMinute: 600, tokensPerMinute: 200_000 }],
  tenants: [{ name: 'acme', plan: 'standard' }],
  backends: [{ name: 'retrieval' }],
  models: [{ name: 'retrieval', kind: ModelKind.SERVICE, backends: ['retrieval'] }],
};
const store = new ResponseCache(stack, 'Store', { vpc, encryptionKey });
new InferenceApi(stack, 'Api', { policy, vpc, store, endpoints: { retrieval: endpoint }, encryptionKey });

// Records: a Glue job first, then a function of your own, started by the file that lands last.
const orders = {
  type: 'object',
  required: ['id', 'total'],
  properties: { id: { type: 'string' }, total: { type: 'number' } },
};
const second = new Stack(app, 'Orders');
const enrich = second.formatArn({
  service: 'lambda',
  resource: 'function:orders-enrich',
  resourceName: '3',
  arnFormat: ArnFormat.COLON_RESOURCE_NAME,
});
new DataPipeline(second, 'Pipeline', {
  definition: {
    name: 'orders',
    stages: [
      {
        name: 'flatten',
        work: { glueJob: { name: 'flatten' } },
        input: { type: 'object' },
        output: orders,
        rules: [{ name: 'one-of-each', unique: ['id'] }],
      },
      {
        name: 'enrich',
        work: { function: { name: 'enrich' } },
        input: orders,
        output: orders,
        rules: [{ name: 'positive', range: { field: 'total', min: 0 } }],
        onFault: FaultAction.STOP,
      },
    ],
  },
  functions: { enrich: lambda.Version.fromVersionArn(second, 'Enrich', enrich) },
  glueJobs: { flatten: 'orders-flatten' },
  triggerSuffix: '_READY',
  toleratedFailurePercentage: 5,
  holdOnAnomaly: true,
});
