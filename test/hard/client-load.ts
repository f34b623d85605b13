import { setTimeout as pause } from 'node:timers/promises';

/** One request as its client saw it. */
export interface Seen {
  /** When it was sent, as `performance.now()` counts. */
  readonly at: number;
  readonly milliseconds: number;
  /** 0 where the connection broke. */
  readonly status: number;
  readonly servedBy?: string;
  readonly fallback?: string;
  readonly stream: boolean;
  /** `broken`: the stream ended with the error event that the official clients raise. */
  readonly end: 'complete' | 'broken' | 'wrong';
  readonly text: string;
}

/** Where requests go, and for whom. */
export interface LoadTarget {
  readonly baseUrl: string;
  readonly key: string;
  readonly model: string;
}

/** What `workers/model-server.ts` says. */
const ANSWER = 'Hello, world!';

/** Clients that ask one request after the other, whole answers and streams in turn, until they are told to stop. */
export class ClientLoad {
  public readonly seen: Seen[] = [];
  private stopped = false;
  private readonly clients: Promise<unknown>;

  constructor(
    private readonly target: LoadTarget,
    clients: number,
  ) {
    this.clients = Promise.all(Array.from({ length: clients }, (_, client) => this.askOn(client)));
  }

  /** What ended from a moment on. */
  public endedSince(at: number): Seen[] {
    return this.seen.filter((seen) => seen.at + seen.milliseconds >= at);
  }

  /** What was sent from a moment on. */
  public since(at: number): Seen[] {
    return this.seen.filter((seen) => seen.at >= at);
  }

  /** Waits until requests that are sent from now on look as they should. */
  public async until(holds: (latest: readonly Seen[]) => boolean, withinMs = 10_000): Promise<void> {
    const started = performance.now();
    while (!holds(this.since(started))) {
      if (performance.now() - started > withinMs) {
        throw new Error(`not within ${withinMs} ms; the last was ${JSON.stringify(this.seen.at(-1))}`);
      }
      await pause(10);
    }
  }

  public async stop(): Promise<void> {
    this.stopped = true;
    await this.clients;
  }

  private async askOn(client: number): Promise<void> {
    for (let number = client; !this.stopped; number++) this.seen.push(await ask(this.target, number % 2 === 0));
  }
}

/** Sends one request and reads its answer to the end. */
export async function ask({ baseUrl, key, model }: LoadTarget, stream: boolean): Promise<Seen> {
  const at = performance.now();
  const seen = await fetch(`${baseUrl}/chat/completions`, {
    method: 'POST',
    headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
    body: JSON.stringify({ model, stream, max_tokens: 16, messages: [{ role: 'user', content: 'Hello' }] }),
  }).then(
    async (response) => {
      const text = await response.text().catch((error: unknown) => `cut: ${String(error)}`);
      const { status, headers } = response;
      const [servedBy, fallback] = ['x-served-by', 'x-fallback'].map((name) => headers.get(name) ?? undefined);
      return { status, ...(servedBy && { servedBy }), ...(fallback && { fallback }), end: endOf(text, stream), text };
    },
    (error: unknown) => ({ status: 0, end: 'wrong' as const, text: String(error) }),
  );
  return { at, milliseconds: performance.now() - at, stream, ...seen };
}

function endOf(text: string, stream: boolean): Seen['end'] {
  try {
    if (!stream) return messageOf(text) === ANSWER ? 'complete' : 'wrong';
    const events = text.split('\n\n').filter((event) => event !== '');
    const last = events.pop();
    if (last === undefined || !events.every((event) => Array.isArray(dataOf(event).choices))) return 'wrong';
    if (last === 'data: [DONE]') return 'complete';
    return dataOf(last).error === undefined ? 'wrong' : 'broken';
  } catch {
    return 'wrong';
  }
}

function messageOf(text: string): string | undefined {
  const answer = JSON.parse(text) as { readonly choices?: { readonly message?: { readonly content?: string } }[] };
  return answer.choices?.[0]?.message?.content;
}

function dataOf(event: string): { readonly choices?: unknown; readonly error?: unknown } {
  return JSON.parse(event.replace(/^data: /, '')) as { readonly choices?: unknown; readonly error?: unknown };
}
