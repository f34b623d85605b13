import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type AwsService, awsService } from '../../../lambda/aws/service';

/** A request as a server saw it. */
export interface SeenRequest {
  readonly method: string;
  readonly url: string;
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
}

/** A service that answers as a test tells it to, and remembers what it was asked. */
export interface ScriptedService {
  readonly service: AwsService;
  readonly seen: SeenRequest[];
  /** How long callers paused before they tried again, in milliseconds. */
  readonly pauses: number[];
  /** What answers; the number of the request counts from 1. */
  answer: (response: ServerResponse, request: SeenRequest, number: number) => void;
  close(): Promise<void>;
}

export async function scriptedService(name: Parameters<typeof awsService>[1]): Promise<ScriptedService> {
  const scripted = { seen: [] as SeenRequest[], pauses: [] as number[] } as unknown as {
    -readonly [K in keyof ScriptedService]: ScriptedService[K];
  };
  scripted.answer = (response) => response.end();
  const server = createServer((request, response) => {
    const parts: Buffer[] = [];
    request.on('data', (part: Buffer) => parts.push(part));
    request.on('end', () => {
      const { method = '', url = '', headers } = request;
      const seen = { method, url, headers, body: Buffer.concat(parts).toString() };
      scripted.answer(response, seen, scripted.seen.push(seen));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const environment = {
    AWS_REGION: 'eu-west-1',
    AWS_ACCESS_KEY_ID: 'AKID',
    AWS_SECRET_ACCESS_KEY: 'secret',
    AWS_ENDPOINT_URL: origin,
  };
  scripted.service = {
    ...awsService(environment, name, 1000),
    random: () => 0.5,
    pause: (ms) => {
      scripted.pauses.push(ms);
      return Promise.resolve();
    },
  };
  scripted.close = () =>
    new Promise((resolve) => {
      server.close(() => resolve());
      server.closeAllConnections();
    });
  return scripted;
}
