import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';

const CLI = join(__dirname, '..', '..', 'dist', 'bin', 'cli.js');

/** A program of the package, as a user runs it. */
export class CliProcess {
  /** What it has printed so far. */
  public output = '';
  public errors = '';
  private readonly child: ChildProcess;
  private readonly exited: Promise<number | null>;

  public constructor(args: readonly string[], environment: Readonly<Record<string, string>> = {}) {
    this.child = spawn(process.execPath, [CLI, ...args], {
      env: { PATH: process.env.PATH, HOME: '/nonexistent', ...environment },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.child.stdout!.on('data', (chunk: Buffer) => (this.output += chunk.toString()));
    this.child.stderr!.on('data', (chunk: Buffer) => (this.errors += chunk.toString()));
    this.exited = once(this.child, 'close').then(([code]) => code as number | null);
  }

  /** Waits for something to be printed, and returns what the pattern's groups found. */
  public async printed(pattern: RegExp): Promise<string[]> {
    for (;;) {
      const found = pattern.exec(this.output);
      if (found) return found.slice(1);
      if (this.child.exitCode !== null) throw new Error(`ended with ${this.child.exitCode}: ${this.errors}`);
      await Promise.race([once(this.child.stdout!, 'data'), this.exited]);
    }
  }

  /** Sends a signal, as Ctrl-C does, and returns the exit code. */
  public async end(signal: NodeJS.Signals = 'SIGINT'): Promise<number | null> {
    this.child.kill(signal);
    return this.exited;
  }

  public exitCode(): Promise<number | null> {
    return this.exited;
  }
}

/** A model server in a process of its own. */
export interface ModelServer {
  readonly url: string;
  readonly process: CliProcess;
}

/** Starts a model server that listens on a free port. */
export async function startModelServer(name: string): Promise<ModelServer> {
  const server = new CliProcess(['model-stub', '--name', name]);
  const [url = ''] = await server.printed(/serves (http:\S+)/);
  return { url, process: server };
}

/** A local run that stands. */
export interface RunningPlatform {
  readonly process: CliProcess;
  readonly baseUrl: string;
  readonly demoKey: string;
  /** The line that users are told to paste. */
  readonly curl: string;
  /** How often a backend was called. */
  callsOf(backend: string): Promise<number>;
}

/** Starts the platform and reads what it announces. */
export async function startPlatform(
  args: readonly string[],
  environment: Readonly<Record<string, string>> = {},
): Promise<RunningPlatform> {
  const platform = new CliProcess(['start', '--port', '0', ...args], environment);
  await platform.printed(/Ctrl-C/);
  const [baseUrl = ''] = await platform.printed(/base URL +(\S+)/);
  const [demoKey = ''] = await platform.printed(/demo key +(\S+)/);
  const [curl = ''] = await platform.printed(/^ +(curl .+)$/m);
  return {
    process: platform,
    baseUrl,
    demoKey,
    curl,
    callsOf: async (backend) => {
      const [url = ''] = await platform.printed(new RegExp(`^ +(?:backends +)?${backend} +(http:\\S+)`, 'm'));
      const health = (await (await fetch(`${url}/health`)).json()) as { calls: number };
      return health.calls;
    },
  };
}
