import { type ChildProcess, execFile, spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { promisify } from 'node:util';
import type { Account } from './account';
import { environmentWithoutAws } from './without-aws';

const ROOT = resolve(import.meta.dirname, '..', '..');
const STEP_TIMEOUT_MS = 180_000;
const START_TIMEOUT_MS = 60_000;
const run = promisify(execFile);

/** Why no rehearsal is possible on this machine, or undefined. */
export function whatIsMissing(): string | undefined {
  const { status } = spawnSync('python3', ['-c', 'import boto3, moto.server, flask'], { stdio: 'ignore' });
  return status === 0 ? undefined : 'python3 lacks moto: install it by python3 -m pip install "moto[server]"';
}

/** An AWS account that lives as long as this process wants, in moto; and the CDK's command line to go with it. */
export class Cloud {
  /** What the app was synthesised to by the deployment. */
  public readonly assembly: string;

  private readonly folder = mkdtempSync(join(tmpdir(), 'rehearsal-'));
  private readonly output: string[] = [];
  private server?: ChildProcess;
  private environment: NodeJS.ProcessEnv = {};

  constructor() {
    this.assembly = join(this.folder, 'cdk.out');
  }

  public async start(): Promise<void> {
    const port = await freePort();
    this.environment = environmentFor(port, this.folder);
    this.server = spawn('python3', ['-m', 'cloud.launcher', String(port)], {
      cwd: import.meta.dirname,
      env: this.environment,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    for (const stream of [this.server.stdout, this.server.stderr]) {
      stream?.setEncoding('utf8').on('data', (text: string) => this.output.push(text));
    }
    const deadline = Date.now() + START_TIMEOUT_MS;
    while (!(await answers(port))) {
      if (this.server.exitCode !== null || Date.now() > deadline) {
        throw new Error(`moto_server did not start:\n${this.log}`);
      }
      await pause(100);
    }
  }

  public async stop(): Promise<void> {
    const { server } = this;
    if (server?.exitCode === null) {
      const gone = new Promise((finish) => server.once('exit', finish));
      server.kill();
      await gone;
    }
    rmSync(this.folder, { recursive: true, force: true });
  }

  /** Runs a command of the CDK against the account; fails with all that it and the account have said. */
  public async cdk(...args: string[]): Promise<string> {
    const cli = join(ROOT, 'node_modules', 'aws-cdk', 'bin', 'cdk');
    try {
      const options = { cwd: ROOT, env: this.environment, timeout: STEP_TIMEOUT_MS, maxBuffer: 2 ** 26 };
      const { stdout, stderr } = await run(process.execPath, [cli, '--no-notices', ...args], options);
      return stdout + stderr;
    } catch (error) {
      const { stdout, stderr } = error as { stdout?: string; stderr?: string };
      const said = [stdout, stderr, this.troubles].join('\n');
      throw new Error(`cdk ${args.join(' ')} failed:\n${shortened(said)}`, { cause: error });
    }
  }

  /** All that stands in the account. */
  public async account(): Promise<Account> {
    const { stdout } = await run('python3', [join(import.meta.dirname, 'cloud', 'account.py')], {
      env: this.environment,
      timeout: STEP_TIMEOUT_MS,
      maxBuffer: 2 ** 26,
    });
    return JSON.parse(stdout) as Account;
  }

  /** The template of a stack that was deployed. */
  public template(stack: string): Template {
    return JSON.parse(readFileSync(join(this.assembly, `${stack}.template.json`), 'utf8')) as Template;
  }

  /** Types of resources that moto does not know. */
  public get skippedTypes(): string[] {
    return [...new Set(Array.from(this.log.matchAll(/^skipped: (\S+)$/gm), ([, type]) => type!))].sort();
  }

  /** Errors inside of moto. The CDK tries again after them, and may then miss that a resource was never made. */
  public get troubles(): string {
    const start = this.log.indexOf('Traceback');
    return start < 0 ? '' : this.log.slice(start);
  }

  private get log(): string {
    return this.output.join('');
  }
}

export interface Template {
  readonly Resources: Record<string, { Type: string; DeletionPolicy?: string }>;
}

/** Knows one account only, the one in moto: nothing can reach a real one. */
function environmentFor(port: number, folder: string): NodeJS.ProcessEnv {
  // moto takes the bucket's name from the address only when it is spelt localhost.
  const endpoint = `http://localhost:${port}`;
  return {
    ...environmentWithoutAws(),
    AWS_ENDPOINT_URL: endpoint,
    AWS_ENDPOINT_URL_S3: endpoint,
    AWS_REGION: 'us-east-1',
    AWS_DEFAULT_REGION: 'us-east-1',
    AWS_ACCESS_KEY_ID: 'rehearsal',
    AWS_SECRET_ACCESS_KEY: 'rehearsal',
    CDK_HOME: join(folder, 'cdk-home'),
    CDK_VALIDATION: 'false', // test/templates validates
    NODE_NO_WARNINGS: '1',
    PYTHONDONTWRITEBYTECODE: '1',
    PYTHONUNBUFFERED: '1',
  };
}

function freePort(): Promise<number> {
  return new Promise((found, fail) => {
    const server = createServer().once('error', fail);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => {
        found(typeof address === 'object' && address ? address.port : 0);
      });
    });
  });
}

async function answers(port: number): Promise<boolean> {
  return fetch(`http://localhost:${port}/moto-api/`).then(
    (response) => response.ok,
    () => false,
  );
}

/** The CDK prints whole source lines with its errors, and those of a bundle are very long. */
function shortened(text: string): string {
  const lines = text.split('\n').map((line) => line.slice(0, 300));
  return lines.slice(-120).join('\n');
}
