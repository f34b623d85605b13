import { ModelKind } from '../../lib/policy';
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
}

/** Everything that a user needs for the first call, in plain lines. */
export function announcement({
  url,
  localPolicy,
  storeDescription,
  accountDescription,
  backends,
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
    '',
    'Try it:',
    '',
    `  ${curlLine(url, key, localPolicy)}`,
    '',
    'Ctrl-C ends it.',
    '',
  ].join('\n');
}

/** A call that works when pasted into a shell, for whatever the policy's first model does. */
function curlLine(url: string, key: string, { policy }: LocalPolicy): string {
  const model = policy.models.find(({ kind }) => kind !== ModelKind.EMBEDDING) ?? policy.models[0];
  const [path, body] = exampleCall(model?.name ?? '', model?.kind ?? ModelKind.CHAT);
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
