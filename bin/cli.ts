#!/usr/bin/env node
import { Command, InvalidArgumentError } from 'commander';
import { UserError } from './user-error';

const DEFAULT_PORT = 8787;

/** npm passes a Ctrl-C on to a program that the terminal has already sent it to. */
const SAME_SIGNAL_MS = 500;

interface StartFlags {
  readonly policy?: string;
  readonly port: number;
  readonly backend?: Readonly<Record<string, string>>;
  readonly logs?: boolean;
}

const program = new Command('cdk-inference-platform')
  .description('Serves AI models on your own GPUs, on AWS; and the same platform on this machine.')
  // One clear line is what an error gets; a guess at what was meant would be a second.
  .showSuggestionAfterError(false);

program
  .command('start')
  .description('serve a policy on this machine: the built handlers behind what API Gateway does for them')
  .option('--policy <file>', 'policy to serve (default: the reference policy)')
  .option('--port <number>', 'port on 127.0.0.1; 0 for any free one', port, DEFAULT_PORT)
  .option('--backend <name=url>', 'real server for a backend of the policy, in place of a stub; repeatable', backend)
  .option('--logs', "print the functions' own log and metric lines")
  .addHelpText(
    'after',
    `
Environment:
  VALKEY_URL  real store, redis://host:port or rediss://host:port (default: one in this process)

Example, with a vLLM server for one backend and stubs for the others:
  $ npm start -- --policy policy.json --backend chat-gpu=http://localhost:8000`,
  )
  .action(async ({ policy, port, backend, logs }: StartFlags) => {
    // Loaded late: the CDK takes longer to load than an error in the arguments should take to show.
    const { start } = await import('./start/start');
    const run = await start({
      policyFile: policy,
      port,
      backends: backend ?? {},
      storeUrl: process.env.VALKEY_URL === '' ? undefined : process.env.VALKEY_URL,
      functionLogs: logs === true,
      print: (text) => process.stdout.write(text),
    });
    endOnSignal(() => run.close());
  });

program
  .command('model-stub')
  .description('serve a model stub that speaks the OpenAI protocol, as a backend to try --backend with')
  .option('--name <name>', 'name of the backend that it stands for', 'model-stub')
  .option('--port <number>', 'port on 127.0.0.1; 0 for any free one', port, 0)
  .addHelpText(
    'after',
    `
Example:
  $ npx cdk-inference-platform model-stub --name chat-gpu --port 8000`,
  )
  .action(async (flags: { readonly name: string; readonly port: number }) => {
    const { DEMONSTRATION_PACE, startModelStub } = await import('./start/model-stub');
    const stub = await startModelStub({ ...flags, pace: DEMONSTRATION_PACE });
    process.stdout.write(`model stub ${flags.name} serves ${stub.url}\n`);
    endOnSignal(() => stub.close());
  });

program.parseAsync().catch((error: unknown) => {
  const message = error instanceof Error ? error.message : String(error);
  process.stderr.write(`error: ${error instanceof UserError ? message : message.replace(/\s+/g, ' ')}\n`);
  process.exit(1);
});

/** The first signal ends the run cleanly, a later one at once. */
function endOnSignal(close: () => Promise<void>): void {
  let endingSince: number | undefined;
  const end = () => {
    if (endingSince === undefined) {
      endingSince = performance.now();
      // Clients that the handlers keep, such as the store's, would keep the process alive.
      void close().then(() => process.exit(0));
    } else if (performance.now() - endingSince > SAME_SIGNAL_MS) {
      process.exit(130);
    }
  };
  process.on('SIGINT', end);
  process.on('SIGTERM', end);
}

function port(value: string): number {
  const number = Number(value);
  if (!/^\d+$/.test(value) || number > 65_535)
    throw new InvalidArgumentError('It must be a whole number from 0 to 65535.');
  return number;
}

function backend(value: string, others?: Readonly<Record<string, string>>): Record<string, string> {
  const [, name, url] = /^([^=]+)=(https?:\/\/.+)$/.exec(value) ?? [];
  if (name === undefined || url === undefined || !URL.canParse(url)) {
    throw new InvalidArgumentError('It must be NAME=URL, such as chat-gpu=http://localhost:8000.');
  }
  return { ...others, [name]: url };
}
