import { AwsError } from '../../lambda/aws/aws-error';
import { awsService } from '../../lambda/aws/service';
import { FunctionError } from '../../lambda/data-pipeline/stages/function-stage';
import { invoke } from '../../lambda/pipeline-store/function-call';
import { awsEnvironment, type AwsPlace } from '../aws-environment';
import { UserError } from '../user-error';

/** As long as a function may take, and some more. */
const TIMEOUT_MS = 16 * 60_000;

/** Where the function is. */
export interface MaintenanceFlags extends AwsPlace {
  readonly function: string;
}

interface Report extends Readonly<Record<string, unknown>> {
  readonly next?: string;
}

/** Asks the function that looks after a deployed feature store, until it has done all of it. */
export async function maintain(
  flags: MaintenanceFlags,
  request: Readonly<Record<string, unknown>>,
  print: (text: string) => void,
): Promise<void> {
  const environment = await awsEnvironment(flags);
  for (let after: string | undefined; ;) {
    const asked = { ...request, ...(after !== undefined && { after }) };
    const { next, ...counts } = await ask(flags.function, asked, environment);
    const told = Object.entries(counts).map(([what, count]) => `${what} ${String(count)}`);
    print(`${told.join(', ')}${next === undefined ? '' : `; goes on after ${next}`}\n`);
    if (next === undefined) return;
    after = next;
  }
}

/** The function works for one at a time: while it is at work, this says so. */
async function ask(name: string, request: object, environment: NodeJS.ProcessEnv): Promise<Report> {
  try {
    return (await invoke(awsService(environment, 'lambda', TIMEOUT_MS), name, request)) as Report;
  } catch (error) {
    if (error instanceof FunctionError) throw new UserError(error.message);
    if (!(error instanceof AwsError)) throw error;
    const isBusy = error.code === 'TooManyRequestsException';
    throw new UserError(isBusy ? `${name} is at work: try again later` : `${name}: ${error.message}`);
  }
}
