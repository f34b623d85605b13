import { readFileSync } from 'node:fs';
import { Command, Option } from 'commander';
import { compareSchemas, incompatible } from '../../lib/policy/features/compatibility';
import { FeatureCompatibility, type FeatureDefinition } from '../../lib/policy/features/definition';
import { validateFeatures } from '../../lib/policy/features/validate';
import { UserError } from '../user-error';

interface CheckFlags {
  readonly pinned: string;
  readonly compatibility: FeatureCompatibility;
}

interface IngestFlags {
  readonly function: string;
  readonly region?: string;
  readonly awsEndpoint?: string;
}

/** The command `features`: checks a change of a definition before anybody deploys it, and sends records in. */
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
    .option('--aws-endpoint <url>', 'where AWS is, for a local run')
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
  return features;
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
