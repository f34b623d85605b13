import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { build } from 'esbuild';

/** A question to a worker, and its answer. The child's end of this is `workers/serve-parent.ts`. */
interface Message {
  readonly id: number;
  readonly value?: unknown;
  readonly error?: string;
}

const bundles = new Map<string, Promise<string>>();

/** A program of `workers/` that runs in a process of its own and answers questions. */
export class WorkerProcess<Question, Answer> {
  private readonly waiting = new Map<number, (message: Message) => void>();
  private readonly exited: Promise<unknown>;
  private questions = 0;
  private errors = '';

  private constructor(private readonly child: ChildProcess) {
    this.exited = once(child, 'exit').then(() => {
      // Whoever still waits for an answer learns why there is none.
      for (const tell of this.waiting.values()) tell({ id: 0, error: `the worker has ended: ${this.errors}` });
    });
    child.stderr?.on('data', (text: Buffer) => (this.errors += text.toString()));
    child.on('message', (message: Message) => {
      this.waiting.get(message.id)?.(message);
      this.waiting.delete(message.id);
    });
  }

  /** Bundles the program as the handlers are bundled, starts it and waits until it is ready. */
  public static async start<Question, Answer>(
    name: string,
    environment: Readonly<Record<string, string>> = {},
    execArgv: string[] = [],
  ): Promise<WorkerProcess<Question, Answer>> {
    const entry = join(__dirname, 'workers', `${name}.ts`);
    const bundle = bundles.get(entry) ?? bundled(entry);
    bundles.set(entry, bundle);
    const child = fork(await bundle, {
      execArgv,
      env: { PATH: process.env.PATH, ...environment },
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    });
    const worker = new WorkerProcess<Question, Answer>(child);
    await worker.reply(0);
    return worker;
  }

  /** The process's id, for signals and for a look at its memory. */
  public get pid(): number {
    return this.child.pid!;
  }

  public ask(question: Question): Promise<Answer> {
    this.questions += 1;
    const id = this.questions;
    const answer = this.reply(id);
    this.child.send({ id, value: question });
    return answer as Promise<Answer>;
  }

  public signal(signal: NodeJS.Signals): void {
    this.child.kill(signal);
  }

  /** Ends the process at once, as a crash would. */
  public async kill(): Promise<void> {
    this.child.kill('SIGKILL');
    await this.exited;
  }

  private async reply(id: number): Promise<unknown> {
    const message = await new Promise<Message>((resolve) => this.waiting.set(id, resolve));
    if (message.error !== undefined) throw new Error(message.error);
    return message.value;
  }
}

async function bundled(entry: string): Promise<string> {
  const outfile = join(mkdtempSync(join(tmpdir(), 'worker-')), `${basename(entry, '.ts')}.cjs`);
  await build({
    entryPoints: [entry],
    outfile,
    bundle: true,
    platform: 'node',
    target: 'node20',
    format: 'cjs',
    loader: { '.lua': 'text' },
    logLevel: 'error',
  });
  return outfile;
}
