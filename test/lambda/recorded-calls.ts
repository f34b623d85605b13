import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { actionsOf, type WireRequest } from './aws-actions';

/**
 * What the handlers call of AWS, as their tests saw it: one file for each suite of a handler's tests, which that suite
 * holds itself to, and which the test of the functions' permissions reads. Written anew by `UPDATE_RECORDED_CALLS=1`.
 */
const FOLDER = path.join(__dirname, 'recorded-calls');

/** The variables that hold queues, and what the queues are called here. */
const QUEUES = { WORK_QUEUE_URL: 'work', CONTROL_QUEUE_URL: 'control', DEAD_LETTER_QUEUE_URL: 'dead letters' };

const seen = new Map<string, Set<string>>();

/** Notes that a handler made a call: an action, and what it was called on, such as `s3:GetObject files/`. */
export function recordCall(handler: string, action: string): void {
  const calls = seen.get(handler) ?? new Set();
  seen.set(handler, calls.add(action));
}

/** What was recorded for a handler by a suite, and what was seen of it in this process: they are to be equal. */
export function callsOf(handler: string, suite: string): { readonly recorded: string[]; readonly seen: string[] } {
  const now = [...(seen.get(handler) ?? [])].sort();
  const file = path.join(FOLDER, handler, `${suite}.json`);
  if (process.env.UPDATE_RECORDED_CALLS === '1') {
    mkdirSync(path.dirname(file), { recursive: true });
    if (now.length > 0) writeFileSync(file, `${JSON.stringify(now, null, 2)}\n`);
    else rmSync(file, { force: true });
  }
  return { recorded: callsIn(file), seen: now };
}

/** All that was recorded for a handler, by whatever suites. */
export function recordedCalls(handler: string): string[] {
  const folder = path.join(FOLDER, handler);
  if (!existsSync(folder)) return [];
  const calls = readdirSync(folder).flatMap((file) => callsIn(path.join(folder, file)));
  return [...new Set(calls)].sort();
}

function callsIn(file: string): string[] {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as string[];
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}

/** Stands between a handler and AWS, and notes what goes by. */
export interface Recorder {
  /** The handler's environment, with AWS where the recorder is. */
  readonly environment: NodeJS.ProcessEnv;
  /** Which requests are noted and then refused, as by a service that fails; what it takes long for waits. None unless set. */
  refuses: (request: WireRequest) => boolean | Promise<boolean>;
  close(): Promise<void>;
}

/**
 * Starts a recorder before what stands in for AWS.
 *
 * @param environment the handler's, with `AWS_ENDPOINT_URL` and the variables of its queues
 */
export async function startRecorder(handler: string, environment: NodeJS.ProcessEnv): Promise<Recorder> {
  const aws = new URL(environment.AWS_ENDPOINT_URL!);
  const names = Object.fromEntries(
    Object.entries(QUEUES).map(([variable, name]): [string, string] => [environment[variable] ?? variable, name]),
  );
  const server = createServer((incoming, outgoing) => {
    void pass(incoming, outgoing, aws, async (request) => {
      for (const action of actionsOf(request, names)) recordCall(handler, action);
      if (await recorder.refuses(request)) throw new Error('refused by the test');
    });
  });
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  const { port } = server.address() as AddressInfo;
  const recorder: Recorder = {
    environment: { ...environment, AWS_ENDPOINT_URL: `http://127.0.0.1:${port}` },
    refuses: () => false,
    close: async () => {
      const closed = new Promise((finish) => server.close(finish));
      server.closeAllConnections();
      await closed;
    },
  };
  return recorder;
}

async function pass(
  incoming: IncomingMessage,
  outgoing: ServerResponse,
  { hostname, port }: URL,
  note: (request: WireRequest) => Promise<void>,
): Promise<void> {
  const chunks: Buffer[] = [];
  for await (const chunk of incoming) chunks.push(chunk as Buffer);
  const body = Buffer.concat(chunks);
  const { method = '', url: path = '', headers } = incoming;
  try {
    await note({ method, url: path, headers, body });
  } catch (error) {
    // No service answers so: nothing tries it again.
    outgoing.writeHead(418).end((error as Error).message);
    return;
  }
  const onward = request({ hostname, port, method, path, headers }, (answer) => {
    outgoing.writeHead(answer.statusCode!, answer.headers);
    answer.pipe(outgoing);
  });
  onward.on('error', () => outgoing.destroy());
  onward.end(body);
}
