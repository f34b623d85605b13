import { type HttpListener, listenLocally } from './http-listener';
import { readBody } from './read-body';

/** One row of the platform's table of keys: strings by attribute name. */
export type KeyRow = Readonly<Record<string, string>> & { readonly keyHash: string };

const MOST_BYTES = 1024 * 1024;

/**
 * Starts what answers the authorizer in place of DynamoDB: the JSON 1.0 protocol's `GetItem` on a table keyed by
 * `keyHash`, and nothing else. The authorizer's SDK client is pointed at it by its environment and does not notice.
 */
export async function startEmbeddedTable(rows: readonly KeyRow[]): Promise<HttpListener> {
  const byHash = new Map(rows.map((row) => [row.keyHash, row]));
  return listenLocally(0, (request, response) => {
    const answer = (status: number, body: object) => {
      response.writeHead(status, { 'content-type': 'application/x-amz-json-1.0' }).end(JSON.stringify(body));
    };
    const operation = String(request.headers['x-amz-target']).split('.').at(-1);
    readBody(request, MOST_BYTES).then(
      (body) => {
        if (operation !== 'GetItem') {
          answer(400, {
            __type: 'com.amazon.coral.service#UnknownOperationException',
            message: `${operation} is not served here`,
          });
          return;
        }
        const row = byHash.get(requestedHash(body.toString()));
        answer(200, row ? { Item: asAttributes(row) } : {});
      },
      () => response.destroy(),
    );
  });
}

function requestedHash(body: string): string {
  const { Key: key } = JSON.parse(body) as { Key?: { keyHash?: { S?: string } } };
  return key?.keyHash?.S ?? '';
}

function asAttributes(row: KeyRow): Record<string, { S: string }> {
  return Object.fromEntries(Object.entries(row).map(([name, value]) => [name, { S: value }]));
}
