import { readFileSync } from 'node:fs';
import { Command, Option } from 'commander';
import { compareSchemas, incompatible } from '../../lib/policy/features/compatibility';
import { FeatureCompatibility, type FeatureDefinition } from '../../lib/policy/features/definition';
import { validateFeatures } from '../../lib/policy/features/validate';
import { address } from '../address';
import { UserError } from '../user-error';
import type { MaintenanceFlags } from './maintenance';

interface CheckFlags {
  readonly pinned: string;
  readonly compatibility: FeatureCompatibility;
}

interface IngestFlags {
  readonly function: string;
  readonly region?: string;
  readonly awsEndpoint?: string;
}

/**
 * The command `features`: checks a change of a definition before anybody deploys it, sends records in, and looks after what
 * is deployed.
 */
export function featuresProgram(print: (text: string) => void): Command {
  const features = new Command('features').description('look after definitions of features');
  features
    .command('check')
    .description('list what has changed since a definition was pinned; fail where that breaks readers')
    .argument('<definition>', 'JSON file of the definition')
    .requiredOption('--pinned <file>', 'JSON file of the definition that is deployed')
    .addOption(
      new Option('--compatibility <kind>', 'who must be able to go on')
        .choices(Object.values(FeatureCompatibility))
        .default(FeatureCompatibility.BACKWARD),
    )
    .addHelpText(
      'after',
      `
Example, before a change is merged:
  $ npx cdk-inference-platform features check features.json --pinned features.pinned.json`,
    )
    .action((file: string, { pinned, compatibility }: CheckFlags) => {
      print(checkReport(readDefinition(pinned), readDefinition(file), compatibility));
    });
  features
    .command('ingest')
    .description('send records to a feature store')
    .argument('<records>', 'file of records, JSON lines')
    .requiredOption('--function <name>', "name or ARN of the store's function that takes records in")
    .option('--region <region>', "the store's region (default: AWS_REGION)")
    .option('--aws-endpoint <url>', 'where AWS is, for a local run', address)
    .addHelpText(
      'after',
      `
A record is {"entity", "key", "eventTime", "sourceVersion", "features": {...}}.

Example, with npm start serving features, whose announcement names function and endpoint:
  $ npx cdk-inference-platform features ingest records.jsonl --function NAME --aws-endpoint http://127.0.0.1:PORT`,
    )
    .action(async (file: string, flags: IngestFlags) => {
      const { ingestRecords } = await import('./ingest-records');
      if (!(await ingestRecords(file, flags, print))) process.exitCode = 2;
    });
  for (const command of maintenanceCommands(print)) features.addCommand(command);
  return features;
}

/** The commands that look after what a deployed feature store keeps. */
function maintenanceCommands(print: (text: string) => void): Command[] {
  const command = (action: string, description: string) =>
    new Command(action)
      .description(description)
      .requiredOption('--function <name>', 'name or ARN of the feature store’s function `maintenance`')
      .option('--region <region>', 'region of the function')
      .option('--aws-endpoint <url>', 'where AWS is emulated', address)
      .action(
        async ({ function: name, region, awsEndpoint, ...request }: MaintenanceFlags & Record<string, string>) => {
          const { maintain } = await import('./maintenance');
          const where = { function: name, ...(region !== undefined && { region }) };
          await maintain(
            { ...where, ...(awsEndpoint !== undefined && { awsEndpoint }) },
            { action, ...request },
            print,
          );
        },
      );
  return [
    command('erase', 'forget an entity: online, in the history, in refusals and in results of queries')
      .requiredOption('--entity <name>', 'what it is, such as customer')
      .requiredOption('--key <key>', 'which one'),
    command('backfill', 'fill the online store from the history')
      .requiredOption('--entity <name>', 'what it is, such as customer')
      .option('--first-day <day>', 'day of the first events, UTC')
      .option('--last-day <day>', 'day of the last events, UTC'),
    command('compact', 'put small files of the history together, as the schedule does'),
  ];
}

/**
 * What has changed, a line for each.
 *
 * @throws UserError where the compatibility forbids some of it, with what to do instead
 */
export function checkReport(
  before: FeatureDefinition,
  after: FeatureDefinition,
  compatibility: FeatureCompatibility,
): string {
  const changes = compareSchemas(before, after);
  const forbidden = incompatible(changes, compatibility);
  const lines = changes.map((change) => {
    const isForbidden = forbidden.includes(change);
    const advice = isForbidden && change.advice !== undefined ? `; ${change.advice}` : '';
    return `${isForbidden ? 'breaks ' : 'allowed'}  ${change.path}: ${change.message}${advice}\n`;
  });
  if (forbidden.length > 0) {
    const count = `${forbidden.length} change${forbidden.length === 1 ? '' : 's'}`;
    throw new UserError(`not ${compatibility} compatible, by ${count}:\n${lines.join('').trimEnd()}`);
  }
  return lines.length === 0 ? 'nothing has changed\n' : lines.join('');
}

function readDefinition(file: string): FeatureDefinition {
  let definition: unknown;
  try {
    definition = JSON.parse(readFileSync(file, 'utf8'));
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    throw new UserError(
      error instanceof SyntaxError
        ? `${file} is not valid JSON: ${message}`
        : `cannot read ${file}: ${code ?? message}`,
    );
  }
  const faults = validateFeatures(definition);
  if (faults.length === 0) return definition as FeatureDefinition;
  throw new UserError([`${file}:`, ...faults.map(({ path, message }) => `  ${path}: ${message}`)].join('\n'));
}
