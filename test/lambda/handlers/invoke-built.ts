import { spawn } from 'node:child_process';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';

const HANDLERS = resolve(__dirname, '../../../dist/handlers');

/** What a function answered to each event, and what it logged. */
export interface Invocations {
  /** An answer for each event; `{ threw }` for one on which it failed. */
  readonly answers: unknown[];
  readonly lines: Record<string, unknown>[];
}

/** Invokes a built handler with each event in turn, in a process of its own, as one instance of a function would be. */
export async function invokeBuilt(
  handler: string,
  events: readonly unknown[],
  environment: NodeJS.ProcessEnv,
): Promise<Invocations> {
  const script = `
    import { readFileSync } from 'node:fs';
    const { handler } = await import('${pathToFileURL(join(HANDLERS, handler, 'index.mjs')).href}');
    const answers = [];
    for (const [i, event] of JSON.parse(readFileSync(0, 'utf8')).entries()) {
      const context = { awsRequestId: process.pid + '-' + i, getRemainingTimeInMillis: () => 900_000 };
      answers.push(await Promise.resolve().then(() => handler(event, context)).catch((error) => ({ threw: error.message })));
    }
    setTimeout(() => process.stdout.write(JSON.stringify({ answers }), () => process.exit()), 20);`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], { env: environment });
  const output: Record<'stdout' | 'stderr', string> = { stdout: '', stderr: '' };
  for (const stream of ['stdout', 'stderr'] as const) {
    child[stream].setEncoding('utf8').on('data', (text: string) => (output[stream] += text));
  }
  const ended = new Promise<number | null>((finish) => child.once('close', finish));
  child.stdin.end(JSON.stringify(events));
  if ((await ended) !== 0) throw new Error(output.stderr);
  const all = output.stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
  return { answers: (all.at(-1) as { answers: unknown[] }).answers, lines: all.slice(0, -1) };
}
