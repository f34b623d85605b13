import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { serveParent } from './serve-parent';

/** What the server does with every call from now on. */
export type Mode =
  | { readonly kind: 'healthy'; readonly firstTokenMs?: number; readonly tokenMs?: number }
  | { readonly kind: 'status'; readonly status: number }
  /** Status 200 and the right content type, and no answer in it: a page, an error, or not even HTTP. */
  | { readonly kind: 'garbage' }
  /** Breaks the connection in the middle of its answer. */
  | { readonly kind: 'cut' }
  /** Keeps calls waiting until the mode changes, then acts as told. */
  | { readonly kind: 'hold' };

export type Order = { readonly mode: Mode } | 'count';

/** Calls since the last change of the mode. */
export interface Count {
  readonly calls: number;
  readonly url: string;
}

const TOKENS = ['Hello', ',', ' ', 'world', '!'];
const USAGE = { prompt_tokens: 7, completion_tokens: TOKENS.length, total_tokens: 7 + TOKENS.length };
const PAGE = '<html>it works!</html>';
const ERROR = JSON.stringify({ error: { message: 'secret' } });
const HELD_CHECK_MS = 5;

let mode: Mode = { kind: 'healthy' };
let calls = 0;

const server = createServer((request, response) => {
  void serve(request, response).catch(() => response.destroy());
});
server.keepAliveTimeout = 60_000;
server.listen(Number(process.env.PORT ?? 0), '127.0.0.1', () => {
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  serveParent<Order, Count>((order) => {
    const count = { calls, url };
    if (order !== 'count') {
      mode = order.mode;
      calls = 0;
    }
    return count;
  });
});

async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const body = await bodyOf(request);
  calls += 1;
  const number = calls;
  while (mode.kind === 'hold') await pause(HELD_CHECK_MS);
  const { stream } = JSON.parse(body) as { readonly stream?: boolean };
  switch (mode.kind) {
    case 'status':
      response.writeHead(mode.status, { 'content-type': 'text/html' }).end(`<html>secret of ${mode.status}</html>`);
      return;
    case 'garbage':
      if (number % 3 === 0) response.socket?.end('\0\0no HTTP\r\n\r\n');
      else if (number % 3 === 1) response.writeHead(200, typeOf(stream)).end(`${stream ? 'data: ' : ''}${PAGE}\n\n`);
      else response.writeHead(200, typeOf(stream)).end(`${stream ? 'data: ' : ''}${ERROR}\n\n`);
      return;
    case 'cut':
      if (stream) response.writeHead(200, typeOf(true)).write(chunk(TOKENS[0]!));
      else response.writeHead(200, { ...typeOf(false), 'content-length': 500 }).write('{"choices":[');
      await pause(1);
      response.destroy();
      return;
    case 'healthy':
      await answer(response, stream === true, mode);
  }
}

async function answer(
  response: ServerResponse,
  stream: boolean,
  { firstTokenMs = 0, tokenMs = 0 }: { readonly firstTokenMs?: number; readonly tokenMs?: number },
): Promise<void> {
  await pause(firstTokenMs);
  if (!stream) {
    const choices = [{ index: 0, message: { role: 'assistant', content: TOKENS.join('') }, finish_reason: 'stop' }];
    response.writeHead(200, typeOf(false)).end(JSON.stringify({ object: 'chat.completion', choices, usage: USAGE }));
    return;
  }
  response.writeHead(200, typeOf(true));
  for (const token of TOKENS) {
    response.write(chunk(token));
    if (tokenMs > 0) await pause(tokenMs);
  }
  response.end(`data: ${JSON.stringify({ choices: [], usage: USAGE })}\n\ndata: [DONE]\n\n`);
}

function chunk(content: string): string {
  return `data: ${JSON.stringify({ object: 'chat.completion.chunk', choices: [{ index: 0, delta: { content } }] })}\n\n`;
}

function typeOf(stream: boolean | undefined): { 'content-type': string } {
  return { 'content-type': stream ? 'text/event-stream' : 'application/json' };
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const part of request) chunks.push(part as Buffer);
  return Buffer.concat(chunks).toString();
}
