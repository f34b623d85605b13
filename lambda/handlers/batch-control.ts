import { randomBytes, randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { resolvePolicy } from '../../lib/policy/defaults';
import type { InferencePolicy } from '../../lib/policy/policy';
import { awsService } from '../aws/service';
import { Secret } from '../aws/secret';
import { batchStores } from '../batch-store/environment';
import { callWebhook } from '../batch-store/webhook-call';
import { lineWriter } from '../observability/line-writer';
import { control, type ControlPorts, sweep } from '../queueing/control';
import { parseControlMessage } from '../queueing/control-message';
import { newId } from '../queueing/ids';
import { requiredVariable } from '../security/environment';

/** What the control queue hands over: one message, or what the schedule sends. */
interface ControlEvent {
  readonly Records?: readonly {
    readonly body: string;
    readonly receiptHandle: string;
    readonly attributes: { readonly ApproximateReceiveCount: string };
  }[];
}

interface ControlContext {
  getRemainingTimeInMillis(): number;
}

/** The secret is read once for many calls. */
const SECRET_TIMEOUT_MS = 5000;

/** The longest that a message which failed waits for its next try, in seconds. */
const MOST_PATIENCE = 300;

const environment = process.env;
const { POLICY_FILE: policyFile = '/opt/policy.json', SERVICE_NAME: service = 'inference' } = environment;
const policy = resolvePolicy(JSON.parse(readFileSync(policyFile, 'utf8')) as InferencePolicy);
const addresses = new Map(policy.tenants.map(({ name, webhook }) => [name, webhook?.url]));
const { controlMessages, ...stores } = batchStores(environment);
let secret: Secret | undefined;

const writeLine = lineWriter(process.stdout);
const log = (line: Readonly<Record<string, unknown>>) => {
  writeLine(JSON.stringify({ service, ...line }));
};

/** Entry point of the control queue and of the schedule. */
export async function handler(event: ControlEvent, context: ControlContext): Promise<void> {
  const ports = portsOf(context);
  if (!event.Records) return sweep(ports);
  for (const { body, receiptHandle, attributes } of event.Records) {
    try {
      await control(parseControlMessage(body), ports);
    } catch (error) {
      // Left alone, it would come back only when the function's own time has passed six times.
      const seconds = Math.min(MOST_PATIENCE, 5 * 2 ** Number(attributes.ApproximateReceiveCount));
      const detail = error instanceof Error ? (error.stack ?? error.message) : String(error);
      log({ level: 'error', message: 'control message failed', body, 'error.message': detail, againIn: seconds });
      await controlMessages.changeVisibility([{ receipt: receiptHandle, seconds }]).catch(() => undefined);
      throw error;
    }
  }
}

function portsOf(context: ControlContext): ControlPorts {
  return {
    ...stores,
    ...{ policy, log },
    owner: randomUUID(),
    newFileId: () => newId('file', Date.now(), randomBytes),
    now: () => Math.floor(Date.now() / 1000),
    nowMs: Date.now,
    remainingMs: () => context.getRemainingTimeInMillis(),
    addressOf: (tenant) => addresses.get(tenant),
    // Only deployments of which a tenant is called have one.
    master: () => {
      const arn = requiredVariable(environment, 'WEBHOOK_SECRET_ARN');
      secret ??= new Secret(awsService(environment, 'secretsmanager', SECRET_TIMEOUT_MS), arn);
      return secret.value();
    },
    call: callWebhook,
  };
}
