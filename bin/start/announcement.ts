import { type InferencePolicy, ModelKind } from '../../lib/policy';
import type { LocalBackend } from './local-backends';
import type { LocalPolicy } from './local-policy';

/** What a local run says when it stands. */
export interface AnnouncedRun {
  /** Address of the front, without `/v1`. */
  readonly url: string;
  readonly localPolicy: LocalPolicy;
  readonly storeDescription: string;
  readonly accountDescription: string;
  readonly backends: readonly LocalBackend[];
  /** How this program is called from a shell. */
  readonly program: string;
  /** Pipelines whose indexes answer. */
  readonly pipelines: readonly AnnouncedPipeline[];
  /** Feature stores that answer. */
  readonly featureStores: readonly AnnouncedFeatures[];
}

/** A pipeline whose published index answers a backend. */
export interface AnnouncedPipeline {
  readonly backend: string;
  readonly name: string;
  /** Path of its definition, to be pasted into a shell. */
  readonly config: string;
  /** Directory that it publishes to, where that is not the default. */
  readonly output?: string;
  /** In whose name texts are embedded. */
  readonly tenant?: string;
  /** @default - nothing is published yet */
  readonly version?: string;
}

/** A feature store that answers a backend. */
export interface AnnouncedFeatures {
  readonly backend: string;
  readonly name: string;
  /** A feature's entity. */
  readonly entity: string;
  /** Name of the function that takes records in, and where Lambda is. */
  readonly ingestFunction: string;
  readonly awsEndpoint: string;
}

/** Everything that a user needs for the first call, in plain lines. */
export function announcement({
  url,
  localPolicy,
  storeDescription,
  accountDescription,
  backends,
  program,
  pipelines,
  featureStores,
}: AnnouncedRun): string {
  const { policy, keys, source } = localPolicy;
  const [first] = policy.tenants;
  const key = keys.get(first?.name ?? '')?.[0] ?? '';
  const keyRows = policy.tenants.flatMap(({ name, plan }) =>
    (keys.get(name) ?? []).map((value) => [name, plan, value]),
  );
  return [
    `cdk-inference-platform serves ${source}.`,
    '',
    `  base URL  ${url}/v1`,
    `  demo key  ${key}`,
    '',
    ...table(
      'models',
      policy.models.map(({ name, kind, backends: chain }) => [name, kind ?? ModelKind.CHAT, chain.join(' → ')]),
    ),
    ...table('tenants', keyRows),
    ...table(
      'issuers',
      (policy.issuers ?? []).map(({ issuer, audience }) => [issuer, audience]),
    ),
    ...table('store', [[storeDescription]]),
    ...table('aws', [[accountDescription]]),
    ...table(
      'backends',
      backends.map(({ name, url: address, isStub }) => [name, address, isStub ? 'model stub in this process' : '']),
    ),
    ...table('services', [
      ...pipelines.map(({ backend, name, version }) => [
        backend,
        `pipeline ${name}: ${version === undefined ? 'nothing is published yet' : `version ${version}`}`,
      ]),
      ...featureStores.map(({ backend, name }) => [backend, `feature store ${name}`]),
    ]),
    '',
    'Try it:',
    '',
    `  ${curlLine(url, key, localPolicy)}`,
    '',
    ...pipelines.flatMap((pipeline) => pipelineLines({ url, key, localPolicy, program }, pipeline)),
    ...featureStores.flatMap((features) => featureLines({ url, key, localPolicy, program }, features)),
    'Ctrl-C ends it.',
    '',
  ].join('\n');
}

/** Who calls what, in the lines that are shown. */
interface Caller extends Pick<AnnouncedRun, 'url' | 'localPolicy' | 'program'> {
  readonly key: string;
}

/** Two lines: one publishes a folder of Markdown, the other asks it. */
function pipelineLines(
  { url, key: callerKey, localPolicy: { policy, keys }, program }: Caller,
  { backend, name, config, output, tenant }: AnnouncedPipeline,
): string[] {
  const key = keys.get(tenant ?? '')?.[0] ?? callerKey;
  const place = output === undefined ? '' : ` --output ${output}`;
  return [
    `Publish a folder of files as ${name}, and ask it:`,
    '',
    `  OPENAI_API_KEY=${key} ${program} pipeline run --config ${config}${place} --input DIR --endpoint ${url}`,
    `  ${serviceCall(url, callerKey, policy, backend, { query: 'How do I …?', results: 3 })}`,
    '',
  ];
}

function featureLines(
  { url, key, localPolicy: { policy }, program }: Caller,
  { backend, name, entity, ingestFunction, awsEndpoint }: AnnouncedFeatures,
): string[] {
  return [
    `Send records to the features ${name}, and ask for them:`,
    '',
    `  ${program} features ingest FILE --function ${ingestFunction} --aws-endpoint ${awsEndpoint}`,
    `  ${serviceCall(url, key, policy, backend, { entity, keys: ['KEY'] })}`,
    '',
  ];
}

function serviceCall(url: string, key: string, policy: InferencePolicy, backend: string, body: object): string {
  const service = policy.models.find(({ backends: chain }) => chain.includes(backend))?.name ?? backend;
  return postLine(url, key, `/v1/services/${service}`, body);
}

/** A call that works when pasted into a shell, for whatever the policy's first model does. */
function curlLine(url: string, key: string, { policy }: LocalPolicy): string {
  const model = policy.models.find(({ kind }) => kind !== ModelKind.EMBEDDING) ?? policy.models[0];
  const [path, body] = exampleCall(model?.name ?? '', model?.kind ?? ModelKind.CHAT);
  return postLine(url, key, path, body);
}

function postLine(url: string, key: string, path: string, body: object): string {
  const json = JSON.stringify(body);
  return `curl -s ${url}${path} -H 'Authorization: Bearer ${key}' -H 'Content-Type: application/json' -d '${json}'`;
}

function exampleCall(model: string, kind: ModelKind): [path: string, body: object] {
  switch (kind) {
    case ModelKind.CHAT:
      return ['/v1/chat/completions', { model, messages: [{ role: 'user', content: 'Hello!' }] }];
    case ModelKind.COMPLETION:
      return ['/v1/completions', { model, prompt: 'Hello!' }];
    case ModelKind.EMBEDDING:
      return ['/v1/embeddings', { model, input: 'Hello!' }];
    case ModelKind.SERVICE:
      return [`/v1/services/${model}`, { query: 'Hello!' }];
  }
}

/** Rows in columns, under a title that stands beside the first. */
function table(title: string, rows: readonly string[][]): string[] {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  return rows.map((row, index) => {
    const cells = row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('  ');
    return `  ${(index === 0 ? title : '').padEnd(8)}  ${cells}`.trimEnd();
  });
}
