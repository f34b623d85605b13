import type { IncomingMessage, ServerResponse } from 'node:http';
import { finished } from 'node:stream/promises';
import type { AwsCredentialIdentity } from '@smithy/types';
import { type HttpListener, listenLocally } from '../http-listener';
import { readBody } from '../read-body';
import { ObjectService } from './object-service';
import { seeSignature } from './presigned';
import { QueueService } from './queue-service';
import { SecretService } from './secret-service';
import { ServiceError } from './service-error';
import { TableService } from './table-service';

/** How the services are served. */
export interface EmbeddedAwsOptions {
  /** Whose presigned addresses are taken. */
  readonly credentials: AwsCredentialIdentity;
  /** Milliseconds since 1970. @default - the clock of this machine */
  readonly now?: () => number;
}

/** SQS takes 1 MiB in a call and DynamoDB 4 MB in a transaction; JSON makes them longer. */
const MOST_CALL_BYTES = 16 * 1024 * 1024;

/**
 * Starts what answers in place of SQS, DynamoDB, Secrets Manager and S3, all at one address, as emulators do: handlers are
 * pointed at it by `AWS_ENDPOINT_URL` and its like. It holds everything in memory, objects in a temporary folder, and
 * knows the calls that the handlers make; any other it refuses.
 */
export async function startEmbeddedAws({ credentials, now = Date.now }: EmbeddedAwsOptions): Promise<HttpListener> {
  let origin = '';
  const queues = new QueueService(() => origin, now);
  const tables = new TableService(now);
  const secrets = new SecretService();
  const objects = await ObjectService.create(now);

  const call = (service: string, operation: string, input: object, gone: AbortSignal): unknown => {
    switch (service) {
      case 'AmazonSQS':
        return queues.call(operation, input as Record<string, unknown>, gone);
      case 'DynamoDB_20120810':
        return tables.call(operation, input);
      case 'secretsmanager':
        return secrets.call(operation, input as Record<string, unknown>);
      default:
        throw new ServiceError('UnknownOperationException', `${service}.${operation} is not served here`);
    }
  };
  const answerCall = async (target: string, request: IncomingMessage, response: ServerResponse) => {
    const [service = '', operation = ''] = target.split('.');
    const ending = new AbortController();
    response.on('close', () => ending.abort());
    const json = (await readBody(request, MOST_CALL_BYTES)).toString();
    const result = await call(service, operation, JSON.parse(json || '{}') as object, ending.signal);
    const type = service === 'secretsmanager' ? 'application/x-amz-json-1.1' : 'application/x-amz-json-1.0';
    response.writeHead(200, { 'content-type': type }).end(JSON.stringify(result));
  };
  const answerObject = async (request: IncomingMessage, response: ServerResponse) => {
    const url = new URL(`http://${request.headers.host}${request.url}`);
    await seeSignature(request, url, credentials, now());
    await objects.answer(request, response, url);
  };

  const listener = await listenLocally(0, (request, response) => {
    const target = request.headers['x-amz-target'];
    const answer =
      target === undefined ? answerObject(request, response) : answerCall(String(target), request, response);
    answer.catch((error: unknown) => void refuse(error, target !== undefined, request, response));
  });
  origin = listener.url;
  return {
    ...listener,
    close: async () => {
      await listener.close();
      await objects.close();
    },
  };
}

async function refuse(
  error: unknown,
  isJson: boolean,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  if (response.headersSent || response.destroyed) {
    response.destroy();
    return;
  }
  // A client that still sends does not see an answer, but a connection that broke.
  if (!request.readableEnded) await finished(request.resume()).catch(() => undefined);
  const { code, status, message, detail } =
    error instanceof ServiceError ? error : new ServiceError('InternalFailure', String(error), 500);
  if (isJson) {
    const headers = { 'content-type': 'application/x-amz-json-1.0' };
    response.writeHead(status, headers).end(JSON.stringify({ __type: `com.amazonaws#${code}`, message, ...detail }));
    return;
  }
  const words = message.replace(/[<>&]/g, (letter) => `&#${letter.charCodeAt(0)};`);
  const xml = `<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>${code}</Code><Message>${words}</Message></Error>`;
  response.writeHead(status, { 'content-type': 'application/xml' }).end(request.method === 'HEAD' ? undefined : xml);
}
