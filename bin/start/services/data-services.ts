import type { IncomingMessage, ServerResponse } from 'node:http';
import { basename, join } from 'node:path';
import { toAttributes } from '../../../lambda/aws/attribute-value';
import { ExactIndexes } from '../../../lambda/data-pipeline/retrieval/exact-indexes';
import { FilePointers } from '../../pipeline/file-pointers';
import { FileStore } from '../../pipeline/file-store';
import { ServiceError } from '../aws/service-error';
import { TableService } from '../aws/table-service';
import { type HttpListener, listenLocally } from '../http-listener';
import type { LambdaFunction } from '../lambda-runtime';
import { readBody } from '../read-body';

/** What the services serve. */
export interface DataServicesOptions {
  /** Directory of a pipeline's versions, named for it, by the name of its table of pointers and of its bucket of vectors. */
  readonly workspaces: ReadonlyMap<string, string>;
  /** A function by its name or ARN. */
  readonly functionNamed: (name: string) => LambdaFunction | undefined;
}

/** Lambda's own limit of an invocation that is waited for. */
const MOST_BYTES = 6 * 1024 * 1024;

/** Digits of the sequence numbers in the table. */
const SEQUENCE_DIGITS = 12;

const INVOCATION = /^\/2015-03-31\/functions\/([^/]+)\/invocations$/;

/**
 * Starts what answers in place of the services that readers of pipelines call: DynamoDB and S3 Vectors, from the workspace that
 * `pipeline run` publishes to, so that what it publishes is what is read at once; and Lambda, for functions that call one another.
 * Workspaces are only read here. It speaks the services' protocols, as far as the handlers do.
 */
export function startDataServices(options: DataServicesOptions): Promise<HttpListener> {
  return listenLocally(0, (request, response) => {
    answer(options, request, response).catch((error: unknown) => {
      refuse(error, response);
    });
  });
}

async function answer(options: DataServicesOptions, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { pathname } = new URL(request.url ?? '/', 'http://services');
  const target = request.headers['x-amz-target'];
  const input = JSON.parse((await readBody(request, MOST_BYTES)).toString() || '{}') as Record<string, unknown>;
  const [, name] = INVOCATION.exec(pathname) ?? [];
  if (request.method === 'POST' && name !== undefined) await invoke(options, decodeURIComponent(name), input, response);
  else if (pathname === '/GetIndex' || pathname === '/QueryVectors') {
    const index = await indexOf(options, input);
    sendJson(response, 200, pathname === '/GetIndex' ? { index: { indexName: input.indexName } } : await index(input));
  } else if (target === 'DynamoDB_20120810.Query') sendJson(response, 200, await queryPointers(options, input));
  else
    throw new ServiceError(
      'NotImplemented',
      `${String(target ?? `${request.method} ${pathname}`)} is not served here`,
      501,
    );
}

/** The table of a pipeline's pointers, made of the files of its workspace. */
async function queryPointers(
  { workspaces }: DataServicesOptions,
  input: Readonly<Record<string, unknown>>,
): Promise<object> {
  const { TableName } = input as { readonly TableName: string };
  const folder = workspaces.get(TableName);
  if (folder === undefined) {
    throw new ServiceError('ResourceNotFoundException', `Requested resource not found: table ${TableName}`);
  }
  const tables = new TableService(Date.now);
  const keys = ['pipeline', 'sequence'];
  tables.call('CreateTable', {
    TableName,
    KeySchema: keys.map((AttributeName, i) => ({ AttributeName, KeyType: i === 0 ? 'HASH' : 'RANGE' })),
    AttributeDefinitions: keys.map((AttributeName) => ({ AttributeName, AttributeType: 'S' })),
  });
  const name = basename(folder);
  const partitions = { [name]: folder, [`${name}/index`]: join(folder, 'indexes') };
  for (const [pipeline, root] of Object.entries(partitions)) {
    for (const { sequence, embedding, ...pointer } of await new FilePointers(root).history()) {
      const row = {
        ...{ pipeline, sequence: String(sequence).padStart(SEQUENCE_DIGITS, '0'), ...pointer },
        ...(embedding && { embedding: { ...embedding } }),
      };
      tables.call('PutItem', { TableName, Item: toAttributes(row) });
    }
  }
  return tables.call('Query', input);
}

async function indexOf(
  { workspaces }: DataServicesOptions,
  { vectorBucketName: bucket, indexName: name }: Readonly<Record<string, unknown>>,
): Promise<(input: Readonly<Record<string, unknown>>) => Promise<object>> {
  const folder = workspaces.get(String(bucket));
  const index = folder === undefined ? undefined : await new ExactIndexes(new FileStore(folder)).open(String(name));
  if (!index) throw new ServiceError('NotFoundException', 'The specified index could not be found', 404);
  return async ({ queryVector, topK }) => {
    const { float32 } = queryVector as { readonly float32: readonly number[] };
    const matches = await index.query(float32, Number(topK));
    return { vectors: matches.map(({ id, distance, fields }) => ({ key: id, distance, metadata: fields })) };
  };
}

async function invoke(
  { functionNamed }: DataServicesOptions,
  name: string,
  event: unknown,
  response: ServerResponse,
): Promise<void> {
  const lambda = functionNamed(name);
  if (!lambda) throw new ServiceError('ResourceNotFoundException', `Function not found: ${name}`, 404);
  try {
    sendJson(response, 200, (await lambda.invoke(event)) ?? null);
  } catch (error) {
    const { message, name: errorType } = error as Error;
    response.setHeader('x-amz-function-error', 'Unhandled');
    sendJson(response, 200, { errorMessage: message, errorType });
  }
}

function sendJson(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}

function refuse(error: unknown, response: ServerResponse): void {
  if (response.headersSent || response.destroyed) {
    response.destroy();
    return;
  }
  const { code, status, message } =
    error instanceof ServiceError ? error : new ServiceError('InternalFailure', String(error), 500);
  sendJson(response, status, { __type: code, message });
}
