import type { ResolvedBatch, ResolvedPolicy } from '../../lib/policy/defaults';
import { modelsOf } from '../gateway/caller';
import { failed } from './batch-life';
import { type BatchRecord, hasEnded } from './batch-record';
import type { BatchBooks } from './books';
import { close } from './close';
import type { ControlMessage } from './control-message';
import { finalise, type FinalisePorts } from './finalise';
import { workKind } from './ids';
import { notify, type NotifyPorts } from './notify';
import { split, type SplitPorts } from './split';
import { repairOf } from './sweep';
import { endEvent } from './webhook';

/** Everything that the control function needs from outside. */
export interface ControlPorts extends Omit<SplitPorts, 'batches' | 'shelves'>, FinalisePorts, NotifyPorts {
  readonly batches: BatchBooks;
  readonly policy: Pick<ResolvedPolicy, 'plans' | 'models'> & { readonly batch: ResolvedBatch };
  /** Writes what was done to the log. */
  readonly log: (line: Readonly<Record<string, unknown>>) => void;
}

/** Does what a control message asks for. Each may come twice, and late. */
export async function control(message: ControlMessage, ports: ControlPorts): Promise<void> {
  const { kind, tenant, batchId } = message;
  if (kind === 'notify') {
    const { kind: notified, answer } = await notify(message, ports);
    const level = notified === 'again' || notified === 'given up' ? 'warn' : 'info';
    const told = { event: message.event.type, attempt: message.attempt, outcome: notified, answer };
    ports.log({ level, message: 'webhook', tenant, batchId, ...told });
    return;
  }
  if (kind === 'split') return splitBatch(tenant, batchId, ports);
  const ended = await finalise({ tenant, id: batchId }, ports.policy.batch, ports);
  if (ended) {
    ports.log({
      level: 'info',
      message: 'results stand',
      tenant,
      batchId,
      status: ended.status,
      ...ended.result?.tally,
    });
  }
  // An end whose news got lost is told as well.
  const batch = ended ?? (await ports.batches.find(tenant, batchId));
  if (batch && hasEnded(batch)) await afterEnd(batch, ports);
}

/** Has what got lost, or whose time is over, go on. Runs every few minutes. */
export async function sweep(ports: ControlPorts): Promise<void> {
  for await (const { tenant, id } of ports.batches.watched()) {
    if (ports.remainingMs() < 30_000) return;
    const batch = await ports.batches.find(tenant, id);
    if (!batch) {
      await ports.batches.unwatch(id);
      continue;
    }
    const repair = await repairOf(batch, () => ports.batches.counts(id), ports.now());
    if (repair === 'none') continue;
    ports.log({ level: 'info', message: 'sweep', tenant, batchId: id, repair });
    if (repair === 'tell') await afterEnd(batch, ports);
    else if (repair === 'close') await close(tenant, id, ports);
    else await ports.control.send({ v: 1, kind: repair, tenant, batchId: id });
  }
}

async function splitBatch(tenant: string, id: string, ports: ControlPorts): Promise<void> {
  const batch = await ports.batches.find(tenant, id);
  if (!batch) return;
  const plan = ports.policy.plans.find(({ name }) => name === batch.plan);
  const end = plan ? await split(batch, rulesOf(batch, ports, plan), ports) : await withoutPlan(batch, ports);
  ports.log({ level: 'info', message: 'split', tenant, batchId: id, end });
  if (end === 'continued') return;
  const after = await ports.batches.find(tenant, id);
  if (after && hasEnded(after)) await afterEnd(after, ports);
  else await close(tenant, id, ports);
}

function rulesOf(
  batch: BatchRecord,
  { policy }: ControlPorts,
  plan: ResolvedPolicy['plans'][number],
): Parameters<typeof split>[1] {
  const { maxLineBytes, maxRequests } = policy.batch;
  return {
    plan,
    models: modelsOf(plan, policy.models),
    endpoint: batch.endpoint,
    maxLineBytes,
    maxRequests: workKind(batch.id) === 'job' ? 1 : maxRequests,
  };
}

/** The policy may have lost a plan since the batch was made. */
async function withoutPlan({ tenant, id, plan }: BatchRecord, ports: ControlPorts): Promise<'failed'> {
  const message = `The plan ${plan} is not served any more.`;
  const fault = { code: 'plan_not_found', message, param: null, line: null };
  await ports.batches.change(tenant, id, (batch) =>
    hasEnded(batch) ? undefined : failed(batch, [fault], ports.now()),
  );
  return 'failed';
}

/** What is left to do when a batch has ended: to tell its tenant, and where errors were replaced since, to begin again. */
async function afterEnd(batch: BatchRecord, ports: ControlPorts): Promise<void> {
  const { tenant, id } = batch;
  // Only of the end itself: what a redrive makes better is the same end.
  if (ports.addressOf(tenant) !== undefined && (batch.final?.revision ?? 1) === 1) {
    const event = endEvent(batch);
    await ports.control.send({ v: 1, kind: 'notify', tenant, batchId: id, event, attempt: 0, due: 0 });
  }
  if (batch.stale) await ports.control.send({ v: 1, kind: 'finalise', tenant, batchId: id });
  else await ports.batches.unwatch(id);
}
