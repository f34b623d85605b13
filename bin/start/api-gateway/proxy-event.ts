import type { IncomingMessage } from 'node:http';
import type { Route } from './api-definition';
import type { RouteMatch } from './route-table';
import type { Caller } from './token-authorizer';

/** What a request is to the gateway, before its body is read. */
export interface GatewayRequest {
  readonly requestId: string;
  readonly stage: string;
  readonly path: string;
  readonly query: URLSearchParams;
  readonly message: IncomingMessage;
}

/** The account and the API of a local run, in the form that ARNs want. */
const ACCOUNT_ID = '000000000000';
const API_ID = 'local';

/** ARN of a method call, which an authorizer judges. */
export function methodArn({ stage, path, message }: GatewayRequest): string {
  return `arn:aws:execute-api:us-east-1:${ACCOUNT_ID}:${API_ID}/${stage}/${message.method}${path}`;
}

/** The event of a Lambda proxy integration, payload version 1. */
export function proxyEvent(
  request: GatewayRequest,
  { route, parameters }: RouteMatch<Route>,
  caller: Caller | undefined,
  body: { readonly bytes: Buffer; readonly isBinary: boolean },
  now: number,
): object {
  const { message, path, query } = request;
  const multiValueHeaders = headersOf(message);
  const multiValueQuery = Object.fromEntries([...new Set(query.keys())].map((name) => [name, query.getAll(name)]));
  return {
    resource: route.path,
    path,
    httpMethod: message.method,
    headers: lastValues(multiValueHeaders),
    multiValueHeaders,
    queryStringParameters: query.size > 0 ? lastValues(multiValueQuery) : null,
    multiValueQueryStringParameters: query.size > 0 ? multiValueQuery : null,
    pathParameters: Object.keys(parameters).length > 0 ? parameters : null,
    stageVariables: null,
    requestContext: {
      accountId: ACCOUNT_ID,
      apiId: API_ID,
      stage: request.stage,
      requestId: request.requestId,
      extendedRequestId: request.requestId,
      requestTimeEpoch: now,
      httpMethod: message.method,
      path: `/${request.stage}${path}`,
      resourcePath: route.path,
      protocol: 'HTTP/1.1',
      identity: { sourceIp: message.socket.remoteAddress ?? '', userAgent: message.headers['user-agent'] ?? null },
      ...(caller && { authorizer: { principalId: caller.principalId, ...caller.context } }),
    },
    body: body.bytes.length > 0 ? body.bytes.toString(body.isBinary ? 'base64' : 'utf8') : null,
    isBase64Encoded: body.isBinary && body.bytes.length > 0,
  };
}

function headersOf(message: IncomingMessage): Record<string, string[]> {
  const headers = Object.entries(message.headersDistinct).map(([name, values]) => [name, values ?? []] as const);
  return Object.fromEntries(headers);
}

function lastValues(values: Record<string, string[]>): Record<string, string> {
  return Object.fromEntries(Object.entries(values).map(([name, all]) => [name, all.at(-1) ?? '']));
}

/** Whether a body of this content type is binary to the API, which lists types in full or by `*`. */
export function isBinary(contentType: string | undefined, binaryMediaTypes: readonly string[]): boolean {
  const type = (contentType ?? '').split(';')[0]!.trim().toLowerCase();
  if (type === '') return false;
  const [family] = type.split('/');
  return binaryMediaTypes.some((listed) => [type, '*/*', `${family}/*`].includes(listed.toLowerCase()));
}
