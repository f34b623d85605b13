import { finished } from 'node:stream/promises';
import { setTimeout as pause } from 'node:timers/promises';
import { StreamedResponse } from '../../../bin/start/response-stream';
import { builtFunction } from './built-function';
import { serveParent } from './serve-parent';

/** A call of the function, as API Gateway makes it. */
export interface Call {
  readonly body: unknown;
  readonly tenant: string;
  readonly plan: string;
  /** When the client hangs up, in milliseconds. */
  readonly hangUpAfterMs?: number;
}

/** What the client received. */
export interface Reply {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly text: string;
  readonly milliseconds: number;
  /** Whether the function served it without the store, as its own record says. */
  readonly storeLost: boolean;
}

let lastRecord = '';

const instance = builtFunction((line) => {
  if (line.includes('"message":"request"')) lastRecord = line;
});

void instance.then((lambda) => {
  serveParent<Call, Reply>(async ({ body, tenant, plan, hangUpAfterMs }) => {
    const started = performance.now();
    const { stream, ended } = lambda.invokeStreaming({
      httpMethod: 'POST',
      path: '/v1/chat/completions',
      headers: {},
      body: JSON.stringify(body),
      isBase64Encoded: false,
      requestContext: { authorizer: { tenant, plan } },
    });
    const hangUp = pause(hangUpAfterMs ?? 300_000, undefined, { ref: false }).then(() => stream.destroy());
    const answer = stream.pipe(new StreamedResponse());
    stream.once('close', () => answer.destroy());
    const parts: Buffer[] = [];
    answer.on('data', (part: Buffer) => parts.push(part));
    const metadata = await answer.metadata.catch(() => undefined);
    await finished(answer).catch(() => undefined);
    const milliseconds = performance.now() - started;
    if (hangUpAfterMs !== undefined) await hangUp;
    await ended;
    return {
      status: metadata?.statusCode ?? 0,
      headers: metadata?.headers ?? {},
      text: Buffer.concat(parts).toString(),
      milliseconds,
      storeLost: lastRecord.includes('"StoreLost":1'),
    };
  });
});
