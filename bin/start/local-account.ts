import { Table } from '../../lambda/aws/table';
import { awsService } from '../../lambda/aws/service';
import { UserError } from '../user-error';
import { startEmbeddedAws } from './aws/embedded-aws';
import { type LocalValues, SERVICE_ENVIRONMENT } from './function-definition';
import type { LambdaFunction } from './lambda-runtime';
import { createResources } from './resources/create-resources';
import { eventSourcesOf, QueuePoller } from './resources/event-source';
import { ScheduledCalls, schedulesOf } from './resources/schedules';
import { type ResourceValues, resolveValue } from './resources/template-values';
import type { KeyRow } from './tenant-keys';
import { resourcesOf, type Template } from './template';

/** What stands here for the AWS account of a deployment: its buckets, tables, queues and secrets, and what they set off. */
export interface LocalAccount {
  /** Where they are, for an announcement. */
  readonly description: string;
  /** What functions need in their environment to find them. */
  readonly endpoints: LocalValues;
  /** Functions that queues and schedules call. */
  readonly functionIds: readonly string[];
  /** The value of an intrinsic, where it is of one of the resources, or of others that are known. */
  resolve(value: unknown, others?: ReadonlyMap<string, ResourceValues>): string | undefined;
  /** Registers the tenants' keys. */
  writeKeys(rows: readonly KeyRow[]): Promise<void>;
  /** Begins to call functions. */
  begin(functions: ReadonlyMap<string, LambdaFunction>, warn: (text: string) => void): void;
  /** Calls no more functions, and resolves when those that were called have ended. */
  idle(): Promise<void>;
  close(): Promise<void>;
}

const SERVICES = ['DYNAMODB', 'S3', 'SECRETS_MANAGER', 'SQS'];

const TIMEOUT_MS = 10_000;

/**
 * Makes what a template declares, in this process or at an emulator.
 *
 * @throws UserError where there is no emulator at the address
 */
export async function openAccount(template: Template, endpoint?: string): Promise<LocalAccount> {
  const {
    AWS_ACCESS_KEY_ID: accessKeyId,
    AWS_SECRET_ACCESS_KEY: secretAccessKey,
    AWS_SESSION_TOKEN: sessionToken,
  } = SERVICE_ENVIRONMENT;
  const embedded =
    endpoint === undefined
      ? await startEmbeddedAws({ credentials: { accessKeyId, secretAccessKey, sessionToken } })
      : undefined;
  const url = embedded?.url ?? endpoint ?? '';
  const endpoints = Object.fromEntries(SERVICES.map((name) => [`AWS_ENDPOINT_URL_${name}`, url]));
  const environment = { ...SERVICE_ENVIRONMENT, ...endpoints };
  try {
    if (endpoint !== undefined) await seeEmulator(endpoint);
    const resources = await createResources(template, environment);
    const sources = eventSourcesOf(template, resources);
    const schedules = schedulesOf(template);
    const callers: { close(): Promise<void> }[] = [];
    const idle = async () => void (await Promise.all(callers.map((caller) => caller.close())));
    return {
      description: embedded ? 'queues, tables and buckets in this process' : `queues, tables and buckets at ${url}`,
      endpoints,
      functionIds: [...sources, ...schedules].map(({ functionId }) => functionId),
      resolve: (value, others = new Map()) => resolveValue(value, new Map([...resources, ...others])),
      writeKeys: async (rows) => {
        if (rows.length === 0) return;
        const table = new Table(awsService(environment, 'dynamodb', TIMEOUT_MS), keyTable(template, resources));
        await Promise.all(rows.map((row) => table.put({ ...row })));
      },
      begin: (functions, warn) => {
        const queues = awsService(environment, 'sqs', TIMEOUT_MS);
        callers.push(
          ...sources.map((source) => new QueuePoller(source, functions.get(source.functionId)!, queues, warn)),
          ...schedules.map((schedule) => new ScheduledCalls(schedule, functions.get(schedule.functionId)!, warn)),
        );
      },
      idle,
      close: async () => {
        // Calls that take longer than the run gives them lose what they call.
        void idle();
        await embedded?.close();
      },
    };
  } catch (error) {
    await embedded?.close();
    throw error;
  }
}

async function seeEmulator(endpoint: string): Promise<void> {
  // Any answer will do: emulators agree on no page that says how they are.
  await fetch(endpoint, { signal: AbortSignal.timeout(TIMEOUT_MS) }).catch((error: unknown) => {
    const { message, cause } = error as Error;
    throw new UserError(
      `--aws-endpoint ${endpoint} does not answer: ${cause instanceof Error ? cause.message : message}`,
    );
  });
}

/** The table that is keyed by hashes of keys. */
function keyTable(template: Template, resources: ReadonlyMap<string, ResourceValues>): string {
  const [table] = ['AWS::DynamoDB::Table', 'AWS::DynamoDB::GlobalTable']
    .flatMap((type) => resourcesOf(template, type))
    .filter(([, { KeySchema: schema }]) =>
      (schema as readonly { readonly AttributeName: string }[]).some(({ AttributeName: name }) => name === 'keyHash'),
    );
  const name = resources.get(table?.[0] ?? '')?.ref;
  if (name === undefined) throw new Error('the template has no table of tenant keys');
  return name;
}
