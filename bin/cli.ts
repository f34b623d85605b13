#!/usr/bin/env node
import { Command, InvalidArgumentError, Option } from 'commander';
import { address } from './address';
import { featuresProgram } from './features/features-program';
import { ageIn } from './jobs/age';
import { pipelineProgram } from './pipeline/pipeline-program';
import { BALANCERS, type BalancerName } from './simulate/balancers';
import { SIGNALS, type SignalName } from './simulate/scaling-signals';
import { UserError } from './user-error';

const DEFAULT_PORT = 8787;

/** npm passes a Ctrl-C on to a program that the terminal has already sent it to. */
const SAME_SIGNAL_MS = 500;

interface StartFlags {
  readonly policy?: string;
  readonly port: number;
  readonly backend?: Readonly<Record<string, string>>;
  readonly pipeline?: Readonly<Record<string, string>>;
  readonly features?: Readonly<Record<string, string>>;
  readonly workspace?: string;
  readonly awsEndpoint?: string;
  readonly logs?: boolean;
}

interface SimulateFlags {
  readonly policy?: string;
  readonly model?: string;
  readonly trace?: string;
  readonly envelope?: string;
  readonly column?: string;
  readonly day?: number;
  readonly rate?: number;
  readonly hours?: number;
  readonly instance: readonly string[];
  readonly min: number;
  readonly max: number;
  readonly initial?: number;
  readonly boot: number;
  readonly zones: number;
  readonly loseZoneAt?: number;
  readonly balancer: BalancerName;
  readonly maxConcurrency?: number;
  readonly scaling: SignalName;
  readonly target?: number;
  readonly period?: number;
  readonly scaleIn?: number;
  readonly scaleInInterval?: number;
  readonly tokensPerInstance?: number;
  readonly survivesZoneLoss?: boolean;
  readonly boundedAdmission: boolean;
  readonly firstToken?: number;
  readonly seed: number;
  readonly svg?: string;
}

interface JobsFlags {
  readonly stack?: string;
  readonly queueUrl?: string;
  readonly table?: string;
  readonly tenant?: string;
  readonly batch?: string;
  readonly reason?: string;
  readonly olderThan?: number;
  readonly region?: string;
  readonly awsEndpoint?: string;
  readonly dryRun?: boolean;
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
  .option('--pipeline <backend=file>', 'pipeline whose published index answers a backend; repeatable', definition)
  .option('--features <backend=file>', 'features that a backend serves; repeatable', definition)
  .option('--workspace <dir>', 'directory that `pipeline run` publishes to (default: pipeline.out)')
  .option('--aws-endpoint <url>', 'emulator of AWS, such as moto (default: queues, tables and buckets here)', address)
  .option('--logs', "print the functions' own log and metric lines")
  .addHelpText(
    'after',
    `
Environment:
  VALKEY_URL  real store, redis://host:port or rediss://host:port (default: one in this process)

Example, with a vLLM server for one backend and stubs for the others:
  $ npm start -- --policy policy.json --backend chat-gpu=http://localhost:8000`,
  )
  .action(async ({ policy, port, backend, pipeline, features, workspace, awsEndpoint, logs }: StartFlags) => {
    // Loaded late: the CDK takes longer to load than an error in the arguments should take to show.
    const { start } = await import('./start/start');
    const run = await start({
      policyFile: policy,
      port,
      backends: backend ?? {},
      services: { pipelines: pipeline ?? {}, features: features ?? {} },
      ...(workspace !== undefined && { workspace }),
      storeUrl: process.env.VALKEY_URL === '' ? undefined : process.env.VALKEY_URL,
      ...(awsEndpoint !== undefined && { awsEndpoint }),
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

program
  .command('simulate')
  .description('replay a load against a policy: what it would cost, and how soon it would answer')
  .option('--policy <file>', 'policy to simulate (default: the reference policy)')
  .option('--model <name>', 'model that is asked for (default: the first of the policy)')
  .option('--trace <file>', 'CSV of time,input,output: requests to replay; with --envelope, their lengths')
  .option('--envelope <file>', 'CSV of rates in windows of time')
  .option('--column <name>', 'column of rates in the envelope')
  .option('--day <number>', 'day of the envelope to begin with (default: 0)', atLeast(0))
  .option('--rate <number>', 'mean requests a second, of an envelope or the synthetic load', above(0))
  .option('--hours <number>', 'length of an envelope or the synthetic load (default: 24)', above(0))
  .option('--instance <profile>', 'profile of the instances, by name or JSON file; repeatable: taken in turn', each, [])
  .option('--min <number>', 'least instances of a fleet', whole(1), 3)
  .option('--max <number>', 'most instances of a fleet', whole(1), 60)
  .option('--initial <number>', 'instances at the start (default: --min)', whole(1))
  .option('--boot <seconds>', 'from the launch of an instance to its first answer', above(0), 354)
  .option('--zones <number>', 'availability zones', whole(1), 3)
  .option('--lose-zone-at <hours>', 'lose one zone at that time', atLeast(0))
  .addOption(new Option('--balancer <name>', 'between instances').choices(BALANCERS).default(BALANCERS[1]))
  .option(
    '--max-concurrency <number>',
    'requests at one time on a target of bounded-concurrency (default: a full batch)',
    whole(1),
  )
  .addOption(new Option('--scaling <signal>', 'what a fleet follows').choices(SIGNALS).default(SIGNALS[0]))
  .option('--target <number>', 'value that a signal other than fleet-load is held at (default: by signal)', above(0))
  .option('--period <seconds>', "distance of the signal's datapoints (default: by signal)", above(0))
  .option('--scale-in <seconds>', 'how long less must have done before an instance goes (default: by signal)', above(0))
  .option('--scale-in-interval <seconds>', 'least time from one that goes to the next (default: by signal)', above(0))
  .option('--tokens-per-instance <number>', 'tokens in progress that an instance can carry', whole(1))
  .option(
    '--no-bounded-admission',
    'servers of fleet-load queue what is too much, in place of the gateway turning it away',
  )
  .option('--survives-zone-loss', 'fleet-load keeps so many instances that one zone may be lost')
  .option('--first-token <ms>', 'objective for inputs of up to 1024 tokens (default: 2000)', above(0))
  .option('--seed <number>', 'the same seed gives the same result', whole(0), 1)
  .option('--svg <file>', 'write a plot of load, capacity and latency')
  .addHelpText(
    'after',
    `
Example, a day of a recorded envelope with the lengths of a recorded trace:
  $ npx cdk-inference-platform simulate --policy policy.json --trace trace.csv --envelope rates.csv --column rps --svg day.svg`,
  )
  .action(async (flags: SimulateFlags) => {
    const { runSimulation } = await import('./simulate/run-command');
    runSimulation(
      {
        ...flags,
        policyFile: flags.policy,
        traceFile: flags.trace,
        envelopeFile: flags.envelope,
        instances: flags.instance,
        minCapacity: flags.min,
        maxCapacity: flags.max,
        initialCapacity: flags.initial,
        bootSeconds: flags.boot,
        loseZoneAtHours: flags.loseZoneAt,
        balancing: flags.balancer,
        signal: flags.scaling,
        target: flags.target,
        periodSeconds: flags.period,
        scaleInSeconds: flags.scaleIn,
        scaleInIntervalSeconds: flags.scaleInInterval,
        firstTokenMs: flags.firstToken,
        svgFile: flags.svg,
      },
      { print: (text) => process.stdout.write(text), progress: process.stderr },
    );
  });

const jobs = program.command('jobs').description('look after the batches and jobs of a platform on AWS');
const withPlaces = (command: Command) =>
  command
    .option('--stack <name>', 'stack whose outputs say where the work queue and the table are')
    .option('--queue-url <url>', 'the work queue')
    .option('--table <name>', 'the table of batches; without it, letters of ended batches are sent back too')
    .option('--tenant <name>', 'only letters of this tenant')
    .option('--batch <id>', 'only letters of this batch or job')
    .option('--reason <reason>', 'only letters with this reason')
    .option('--older-than <age>', 'only letters of at least this age, such as 90s, 15m, 2h or 3d', age)
    .option('--region <region>', "the platform's region (default: AWS_REGION)")
    .option('--aws-endpoint <url>', 'where AWS is, for an emulator', address);
withPlaces(jobs.command('list'))
  .description('show the dead letters')
  .action((flags: JobsFlags) => runJobsCommand('list', flags));
withPlaces(jobs.command('redrive'))
  .description('send dead letters back to the workers')
  .option('--dry-run', 'only show what would be sent back')
  .addHelpText(
    'after',
    `
Example, after a backend was repaired:
  $ npx cdk-inference-platform jobs redrive --stack InferencePlatform --reason backend_failed --dry-run`,
  )
  .action((flags: JobsFlags) => runJobsCommand('redrive', flags));

program.addCommand(pipelineProgram());
program.addCommand(featuresProgram((text) => process.stdout.write(text)));

// Whoever reads the output, such as `head`, may have enough of it.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit();
  throw error;
});

program.parseAsync().catch((error: unknown) => {
  const message = error instanceof Error ? error.message : String(error);
  process.stderr.write(`error: ${error instanceof UserError ? message : message.replace(/\s+/g, ' ')}\n`);
  process.exit(1);
});

async function runJobsCommand(action: 'list' | 'redrive', flags: JobsFlags): Promise<void> {
  const { runJobs } = await import('./jobs/run-command');
  const { tenant, batch, reason, olderThan: olderThanMs, dryRun, ...places } = flags;
  await runJobs(
    { ...places, action, dryRun: dryRun === true, filter: { tenant, batch, reason, olderThanMs } },
    {
      print: (text) => process.stdout.write(text),
      progress: (text) => process.stderr.isTTY && process.stderr.write(text),
    },
  );
}

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

function definition(value: string, others?: Readonly<Record<string, string>>): Record<string, string> {
  const [, name, file] = /^([^=]+)=(.+)$/.exec(value) ?? [];
  if (name === undefined || file === undefined) {
    throw new InvalidArgumentError('It must be BACKEND=FILE, such as retrieval=pipeline.json.');
  }
  return { ...others, [name]: file };
}

/** Reads a number of at least `least`; `whole` and `above` the same for whole numbers and for those above. */
function atLeast(least: number): (value: string) => number {
  return number(`a number of at least ${least}`, (value) => value >= least);
}

function above(bound: number): (value: string) => number {
  return number(`a number above ${bound}`, (value) => value > bound);
}

function whole(least: number): (value: string) => number {
  return number(`a whole number of at least ${least}`, (value) => Number.isSafeInteger(value) && value >= least);
}

function number(expected: string, holds: (value: number) => boolean): (value: string) => number {
  return (text) => {
    const value = Number(text);
    if (text.trim() === '' || !Number.isFinite(value) || !holds(value)) {
      throw new InvalidArgumentError(`It must be ${expected}.`);
    }
    return value;
  };
}

function age(text: string): number {
  const ms = ageIn(text);
  if (ms === undefined) throw new InvalidArgumentError('It must be a whole number and s, m, h or d, such as 2h.');
  return ms;
}

function each(value: string, others: readonly string[]): readonly string[] {
  return [...others, value];
}
