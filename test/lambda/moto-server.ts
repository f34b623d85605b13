import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { createServer, type AddressInfo } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { environmentWithoutAws } from '../rehearsal/without-aws';

const START_TIMEOUT_MS = 60_000;

/** Whether moto, AWS in memory, is installed. */
export const hasMoto =
  spawnSync('python3', ['-c', 'import boto3, moto.server, flask'], { stdio: 'ignore' }).status === 0;

/** An AWS account in memory that a suite may talk to. */
export interface MotoServer {
  /** What a handler needs in its environment to find it, and nothing else of AWS. */
  readonly environment: NodeJS.ProcessEnv;
  /** Runs Python with boto3 as `aws(service)` and `json` against it, and returns the JSON that it prints. */
  python(script: string): unknown;
  close(): Promise<void>;
}

/** What serves in the place of `moto.server`: a module that takes the port. */
export interface MotoLauncher {
  readonly module: string;
  readonly folder: string;
  readonly environment: NodeJS.ProcessEnv;
}

/** Starts moto on a free port. */
export async function startMoto(launcher?: MotoLauncher): Promise<MotoServer> {
  const port = await freePort();
  const environment: NodeJS.ProcessEnv = {
    ...environmentWithoutAws(),
    AWS_ENDPOINT_URL: `http://127.0.0.1:${port}`,
    AWS_REGION: 'eu-west-1',
    AWS_DEFAULT_REGION: 'eu-west-1',
    AWS_ACCESS_KEY_ID: 'moto',
    AWS_SECRET_ACCESS_KEY: 'moto',
  };
  const args = launcher ? [launcher.module, String(port)] : ['moto.server', '-H', '127.0.0.1', '-p', String(port)];
  const server = spawn('python3', ['-m', ...args], {
    env: { ...environment, ...launcher?.environment, PYTHONDONTWRITEBYTECODE: '1' },
    cwd: launcher?.folder,
    stdio: ['ignore', 'ignore', process.env.MOTO_LOG === '1' ? 'inherit' : 'ignore'],
  });
  await untilReady(port, server);
  return {
    environment,
    python: (script) => {
      const head = 'import boto3, datetime, json\naws = boto3.client\n';
      const { status, stdout, stderr } = spawnSync('python3', ['-c', head + script], {
        env: environment,
        encoding: 'utf8',
      });
      if (status !== 0) throw new Error(stderr);
      return stdout === '' ? undefined : (JSON.parse(stdout) as unknown);
    },
    close: async () => {
      const gone = new Promise((finish) => server.once('exit', finish));
      server.kill();
      await gone;
    },
  };
}

async function untilReady(port: number, server: ChildProcess): Promise<void> {
  const deadline = Date.now() + START_TIMEOUT_MS;
  const answers = () =>
    fetch(`http://127.0.0.1:${port}/moto-api/`).then(
      ({ ok }) => ok,
      () => false,
    );
  while (!(await answers())) {
    if (server.exitCode !== null || Date.now() > deadline) throw new Error('moto did not start');
    await pause(100);
  }
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  const { port } = server.address() as AddressInfo;
  await new Promise((closed) => server.close(closed));
  return port;
}
