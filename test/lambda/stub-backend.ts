import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** Answers one request; `body` is what was sent, already parsed. */
export type Behaviour = (
  response: ServerResponse,
  call: { readonly body: Record<string, unknown>; readonly request: IncomingMessage },
) => void;

/** A backend over real HTTP that does whatever the test says. */
export interface StubBackend {
  readonly url: string;
  behave: Behaviour;
  readonly calls: { body: Record<string, unknown>; headers: IncomingMessage['headers'] }[];
  /** Settles when a client has broken off a call. */
  readonly brokenOff: Promise<void>;
  close(): Promise<void>;
}

const USAGE = { prompt_tokens: 7, completion_tokens: 5, total_tokens: 12 };

/** One event of a stream. */
export function event(data: unknown): string {
  return `data: ${typeof data === 'string' ? data : JSON.stringify(data)}\n\n`;
}

/** A chunk of a chat with some text. */
export function chunk(content: string): string {
  return event({ object: 'chat.completion.chunk', choices: [{ index: 0, delta: { content } }] });
}

/** Answers as a healthy model server does, streamed where asked. */
export const HEALTHY: Behaviour = (response, { body }) => {
  if (body.stream !== true) {
    const answer = { object: 'chat.completion', choices: [{ index: 0, message: { content: 'Hi!' } }], usage: USAGE };
    response.setHeader('content-type', 'application/json').end(JSON.stringify(answer));
    return;
  }
  response.setHeader('content-type', 'text/event-stream');
  response.write(chunk('Hi'));
  response.write(chunk('!'));
  response.write(event({ choices: [], usage: USAGE }));
  response.end(event('[DONE]'));
};

/** Answers with a status and a text. */
export function failing(status: number, text = '<html>secret stack</html>'): Behaviour {
  return (response) => response.writeHead(status).end(text);
}

/** Starts a backend. */
export async function startBackend(behave: Behaviour = HEALTHY): Promise<StubBackend> {
  let tellBrokenOff: () => void = () => undefined;
  const server = createServer((request, response) => {
    const parts: Buffer[] = [];
    request.on('data', (part: Buffer) => parts.push(part));
    request.on('end', () => {
      const body = JSON.parse(Buffer.concat(parts).toString()) as Record<string, unknown>;
      stub.calls.push({ body, headers: request.headers });
      response.on('close', () => {
        if (!response.writableFinished) tellBrokenOff();
      });
      stub.behave(response, { body, request });
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const stub: StubBackend = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    behave,
    calls: [],
    brokenOff: new Promise((resolve) => (tellBrokenOff = resolve)),
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
  return stub;
}
