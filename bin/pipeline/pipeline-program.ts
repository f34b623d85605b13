import { Command, InvalidArgumentError } from 'commander';
import { baseAddress } from '../address';
import { wholeCommand } from './whole-command';

interface PlaceFlags {
  readonly config: string;
  readonly output: string;
  readonly references?: string;
}

interface EndpointFlags {
  readonly endpoint?: string;
}

interface RunFlags extends PlaceFlags, EndpointFlags {
  readonly input: string;
  readonly asOf?: string;
  readonly again?: boolean;
  readonly function?: Readonly<Record<string, string>>;
}

/** Where a key for the endpoint may come from: never the command line, which others on the machine can read. */
const key = () => (process.env.OPENAI_API_KEY === '' ? undefined : process.env.OPENAI_API_KEY);

const output = { print: (text: string) => void process.stdout.write(text), progress: process.stderr };

/** The commands of `pipeline`. */
export function pipelineProgram(): Command {
  const program = new Command('pipeline').description(
    'run a data pipeline on files, with the stage code that runs on AWS',
  );
  withRun(program.command('run').description('read, check, transform, audit and publish'))
    .addHelpText(
      'after',
      `
Environment:
  OPENAI_API_KEY  key for the endpoint

Example, with npm start serving the policy:
  $ npx cdk-inference-platform pipeline run --config examples/documentation-pipeline.json --input docs --endpoint http://127.0.0.1:8787`,
    )
    .action(async (flags: RunFlags) => {
      const { runCommand } = await import('./commands');
      const options = { ...flags, functions: flags.function, key: key() };
      if (!(await wholeCommand(() => runCommand(options, output)))) process.exitCode = 2;
    });
  withRun(program.command('redrive').description('run the quarantined records of a version again, after a fix'))
    .argument('[version]', 'version, also one that was held back (default: the published one)')
    .action(async (version: string | undefined, flags: RunFlags) => {
      const { redriveCommand } = await import('./commands');
      const options = { ...flags, functions: flags.function, key: key(), redrive: version };
      if (!(await wholeCommand(() => redriveCommand(options, output)))) process.exitCode = 2;
    });
  withPlace(program.command('query').description('ask the index for the records nearest to a text'))
    .argument('<text>')
    .requiredOption('--endpoint <url>', 'OpenAI-compatible endpoint of the embedding model', baseAddress)
    .option('--results <number>', 'answers (default: by the definition)', whole)
    .action(async (text: string, flags: PlaceFlags & EndpointFlags & { readonly results?: number }) => {
      const { queryCommand } = await import('./commands');
      await queryCommand(text, { ...flags, key: key() }, output);
    });
  withPlace(program.command('versions').description('list the versions that were published')).action(
    async (flags: PlaceFlags) => {
      const { versionsCommand } = await import('./commands');
      await versionsCommand(flags, output);
    },
  );
  withPlace(program.command('rollback').description('let readers see an earlier version again'))
    .argument('[version]', 'version (default: the one before)')
    .option('--endpoint <url>', 'endpoint to try the golden set at before the index goes back too', baseAddress)
    .action(async (version: string | undefined, flags: PlaceFlags & EndpointFlags) => {
      const { rollBackCommand } = await import('./commands');
      await rollBackCommand(version, { ...flags, key: key() }, output);
    });
  withPlace(program.command('quarantine').description('list the records that a version set aside'))
    .argument('[version]', 'version, also one that was held back (default: the published one)')
    .option('--input <dir>', 'show the records themselves, from these files')
    .action(async (version: string | undefined, flags: PlaceFlags & { readonly input?: string }) => {
      const { quarantineCommand } = await import('./commands');
      await quarantineCommand(version, flags, output);
    });
  withPlace(program.command('trace').description('tell where records come from, and what their version was made of'))
    .argument('<field>')
    .argument('<value>')
    .option('--version <version>', 'version (default: the published one)')
    .action(async (field: string, value: string, flags: PlaceFlags & { readonly version?: string }) => {
      const { traceCommand } = await import('./commands');
      await traceCommand(field, value, flags, output);
    });
  withPlace(program.command('pin').description('compare the distributions of later versions with this one'))
    .argument('[version]', 'version (default: the published one)')
    .action(async (version: string | undefined, flags: PlaceFlags) => {
      const { pinCommand } = await import('./commands');
      await pinCommand(version, flags, output);
    });
  withPlace(program.command('read').description('print the records that readers see, as JSON lines')).action(
    async (flags: PlaceFlags) => {
      const { readCommand } = await import('./commands');
      await readCommand(flags, output);
    },
  );
  return program;
}

function withPlace(command: Command): Command {
  return command
    .requiredOption('--config <file>', 'definition of the pipeline, JSON')
    .option('--output <dir>', 'directory of versions', 'pipeline.out')
    .option('--references <dir>', 'directory of reference sets and golden sets (default: that of the definition)');
}

function withRun(command: Command): Command {
  return withPlace(command)
    .requiredOption('--input <dir>', 'directory of the files to read')
    .option(
      '--endpoint <url>',
      'OpenAI-compatible endpoint for embed stages, such as http://127.0.0.1:8787',
      baseAddress,
    )
    .option('--function <name=file>', 'module that exports the handler of a function stage; repeatable', functionFile)
    .option('--as-of <time>', 'the time that the run is for; rules of time and freshness count from it')
    .option('--again', 'publish the version also where it was rolled back from');
}

function functionFile(value: string, others?: Readonly<Record<string, string>>): Record<string, string> {
  const [, name, file] = /^([^=]+)=(.+)$/.exec(value) ?? [];
  if (name === undefined || file === undefined)
    throw new InvalidArgumentError('It must be NAME=FILE, such as clean=./clean.mjs.');
  return { ...others, [name]: file };
}

function whole(text: string): number {
  const value = Number(text);
  if (!/^\d+$/.test(text) || value < 1) throw new InvalidArgumentError('It must be a whole number of at least 1.');
  return value;
}
