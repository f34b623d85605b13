import { text } from 'node:stream/consumers';
import { StreamedResponse } from '../../../bin/start/response-stream';
import { faultOfRefusal } from '../error-object';
import { type MalformedRequest, malformedRequests } from '../malformed-requests';
import { builtFunction } from './built-function';
import { serveParent } from './serve-parent';

/** Calls the built function with what API Gateway would have refused, and with what it would never send. */
export interface Volley {
  readonly seed: number;
  readonly count: number;
}

/** What came of it. */
export interface Hits {
  readonly statuses: Readonly<Record<number, number>>;
  /** Answers that were none of a refusal, the first few. */
  readonly wrong: readonly string[];
  /** After a collection, in bytes. */
  readonly heapUsed: number;
}

const MOST_TOLD = 5;

void builtFunction().then((lambda) => {
  const send = async (event: object): Promise<[status: number, text: string]> => {
    const { stream, ended } = lambda.invokeStreaming(event);
    const answer = stream.pipe(new StreamedResponse());
    stream.once('error', (error) => answer.destroy(error));
    const [{ statusCode }, body] = await Promise.all([answer.metadata, text(answer)]);
    await ended;
    return [statusCode, body];
  };
  serveParent<Volley, Hits>(async ({ seed, count }) => {
    const statuses: Record<number, number> = {};
    const wrong: string[] = [];
    for (const [number, request] of malformedRequests(seed, count).entries()) {
      const [status, body] = await send(eventOf(request, number)).catch(
        (error: unknown) => [0, String(error)] as const,
      );
      statuses[status] = (statuses[status] ?? 0) + 1;
      const fault = request.mayPass && status === 200 ? undefined : faultOfRefusal(status, body);
      if (fault && wrong.length < MOST_TOLD) wrong.push(`${request.fault}: ${fault}`);
    }
    globalThis.gc?.();
    return { statuses, wrong, heapUsed: process.memoryUsage().heapUsed };
  });
});

/** The event, in one of the shapes that a body can have; who has no key has no authorizer either. */
function eventOf({ method, path, headers, body, known }: MalformedRequest, number: number): object {
  const isBase64Encoded = number % 3 === 0;
  const shapes = [
    { tenant: 'acme', plan: 'roomy' },
    { tenant: 'acme', plan: 'roomy', principalId: '' },
  ];
  const strangers = [null, undefined, {}, { tenant: 'acme' }, { tenant: 'acme', plan: '__proto__' }];
  return {
    httpMethod: method,
    path,
    headers: number % 7 === 0 ? null : headers,
    body: body.length === 0 ? null : body.toString(isBase64Encoded ? 'base64' : 'utf8'),
    isBase64Encoded,
    requestContext: { authorizer: known ? shapes[number % shapes.length] : strangers[number % strangers.length] },
  };
}
