import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { serveParent } from './serve-parent';

/** What the model server does from now on. */
export interface ItemModelMode {
  /** How long an answer takes. */
  readonly answerMs: number;
  /** By which share of that answers are sooner or later. */
  readonly spread: number;
  /** Share of calls that fail with 500. */
  readonly failing: number;
  /** Calls that it works on at the same time; more of them wait. */
  readonly slots: number;
  /** A request whose text begins so is refused. */
  readonly refusing?: string;
}

/** What the model server has seen since it was started. */
export interface ItemModelReport {
  readonly url: string;
  readonly calls: number;
  readonly answers: number;
  /** Items that were answered more than once. */
  readonly repeated: number;
  /** Most calls in progress at the same time. */
  readonly mostAtOnce: number;
  /** When the texts that were asked for were answered first, in milliseconds since 1970. */
  readonly answeredAt: readonly number[];
}

/** A change of what it does, or a question for texts that begin so. */
export type ItemModelOrder = Partial<ItemModelMode> & { readonly timesOf?: string };

let mode: ItemModelMode = { answerMs: 0, spread: 0, failing: 0, slots: Infinity };
const answered = new Map<string, number>();
const firstAt = new Map<string, number>();
const waiting: (() => void)[] = [];
let [calls, answers, busy, inProgress, mostAtOnce] = [0, 0, 0, 0, 0];

const server = createServer((request, response) => {
  void serve(request, response).catch(() => response.destroy());
});
server.keepAliveTimeout = 60_000;
server.listen(0, '127.0.0.1', () => {
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  serveParent<ItemModelOrder, ItemModelReport>(({ timesOf, ...changes }) => {
    mode = { ...mode, ...changes };
    const repeated = [...answered.values()].filter((count) => count > 1).length;
    const asked = [...firstAt].filter(([text]) => timesOf !== undefined && text.startsWith(timesOf));
    return { url, calls, answers, repeated, mostAtOnce, answeredAt: asked.map(([, at]) => at) };
  });
});

async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const parts: Buffer[] = [];
  for await (const part of request) parts.push(part as Buffer);
  const { messages } = JSON.parse(Buffer.concat(parts).toString()) as { messages: [{ content: string }] };
  const [{ content }] = messages;
  calls += 1;
  inProgress += 1;
  mostAtOnce = Math.max(mostAtOnce, inProgress);
  if (busy >= mode.slots) await new Promise<void>((resolve) => waiting.push(resolve));
  busy += 1;
  const isFailing = Math.random() < mode.failing;
  await pause(isFailing ? 1 : mode.answerMs * (1 + mode.spread * (2 * Math.random() - 1)));
  busy -= 1;
  waiting.shift()?.();
  inProgress -= 1;
  const say = (status: number, body: object) =>
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
  if (isFailing) {
    say(500, { error: { message: 'out of memory' } });
  } else if (mode.refusing !== undefined && content.startsWith(mode.refusing)) {
    say(400, { error: { message: 'refused', type: 'invalid_request_error', param: null, code: 'refused' } });
  } else {
    answers += 1;
    if (!firstAt.has(content)) firstAt.set(content, Date.now());
    answered.set(content, (answered.get(content) ?? 0) + 1);
    const choices = [
      { index: 0, message: { role: 'assistant', content: `answer to ${content}` }, finish_reason: 'stop' },
    ];
    say(200, {
      object: 'chat.completion',
      choices,
      usage: { prompt_tokens: 5, completion_tokens: 5, total_tokens: 10 },
    });
  }
}
