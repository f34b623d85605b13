import { BackendFailure } from './backend-port';
import type { ClientConnection } from './client-connection';
import type { StreamedAnswer } from './attempt';

/** How a stream ended. */
export interface Delivery {
  /** `broken`: the backend broke off; `abandoned`: the client did. */
  readonly end: 'complete' | 'broken' | 'abandoned';
  /** The last bytes for the client, which are still to be sent. */
  readonly last: Buffer;
}

/** The pause in which a backend that has sent its terminal event may close the answer, so that its connection is kept. */
const CLOSING_MS = 100;

/** Passes a stream on, event by event, all but the last bytes: those wait until the settling is under way. */
export async function deliverStream(answer: StreamedAnswer, client: ClientConnection): Promise<Delivery> {
  const { rest, transcript } = answer;
  let out = answer.head;
  while (!transcript.complete) {
    await client.write(out);
    if (client.hungUp.aborted) return abandoned(answer);
    try {
      const next = await rest.next();
      out = next.done ? transcript.end() : transcript.pass(next.value);
      if (next.done && !transcript.complete) return { end: 'broken', last: Buffer.concat([out, BROKEN]) };
    } catch (error) {
      if (!(error instanceof BackendFailure)) throw error;
      if (error.kind === 'abandoned') return abandoned(answer);
      return { end: 'broken', last: BROKEN };
    }
  }
  return { end: 'complete', last: out };
}

/** Takes what follows the terminal event, which should be nothing, so that the connection can be used again. */
export async function closeStream(answer: StreamedAnswer, pause: (ms: number) => Promise<void>): Promise<void> {
  const drained = (async () => {
    while (!(await answer.rest.next()).done);
  })().catch(() => undefined);
  await Promise.race([drained, pause(CLOSING_MS)]);
  answer.discard();
}

function abandoned(answer: StreamedAnswer): Delivery {
  answer.discard();
  return { end: 'abandoned', last: Buffer.alloc(0) };
}

/** The event that the official clients raise as an error. Text that came before it stays with the client. */
const BROKEN = Buffer.from(
  `data: ${JSON.stringify({
    error: {
      message: 'The backend broke off in the middle of its answer.',
      type: 'server_error',
      param: null,
      code: 'backend_unavailable',
    },
  })}\n\n`,
);
