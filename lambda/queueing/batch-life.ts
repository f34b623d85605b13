import { ApiError } from '../gateway/api-error';
import {
  type BatchFault,
  type BatchRecord,
  type BatchResult,
  type FinalState,
  hasEnded,
  type ItemCounts,
  type SplitState,
} from './batch-record';

/** The time in which a batch is worked on: the one completion window of the protocol. */
export const WINDOW_SECONDS = 86_400;

/** A worker that has an item when the time is over may bring it to its end, which takes at most a function's time. */
export const EXPIRY_GRACE_SECONDS = 900;

/** After a cancellation, items in progress are awaited for so long, as OpenAI says. */
export const CANCEL_GRACE_SECONDS = 600;

/** Faults that a batch which was never begun lists. */
const MOST_FAULTS = 50;

/** What a flight of lines has brought. */
export interface SplitProgress extends Omit<SplitState, 'at'> {
  /** The models of the lines that were sent, without repetition. */
  readonly models: readonly string[];
  /** What was wrong with the others. */
  readonly faults: readonly BatchFault[];
}

/** A new batch, of which nothing has been read. */
export function newBatch(
  of: Pick<BatchRecord, 'id' | 'tenant' | 'plan' | 'endpoint' | 'input' | 'metadata' | 'outputSeconds'>,
  now: number,
  retentionDays: number,
): BatchRecord {
  return {
    ...of,
    version: 1,
    status: 'validating',
    createdAt: now,
    deadline: now + WINDOW_SECONDS,
    split: { line: 0, offset: 0, sent: 0, rejected: 0, done: false, at: now },
    faults: [],
    // The files of results are made up to a window later, and kept as long.
    expiresAt: now + WINDOW_SECONDS + EXPIRY_GRACE_SECONDS + retentionDays * 86_400,
  };
}

/** Whether lines may still be sent, and results be awaited. */
export function isOpen({ status, ending }: BatchRecord): boolean {
  return (status === 'validating' || status === 'in_progress') && ending === undefined;
}

/**
 * Notes a flight of lines that began where the last one ended; undefined where it did not, or no lines are wanted any
 * more. With the last flight of an input in which nothing was good, the batch has failed.
 */
export function advanceSplit(
  batch: BatchRecord,
  fromLine: number,
  { models, faults: added, ...split }: SplitProgress,
  now: number,
): BatchRecord | undefined {
  const { by, line, done } = batch.split;
  // The answer to a first try was lost, and this is the second.
  if (by !== undefined && by === split.by && line === split.line && done === split.done) return batch;
  if (!isOpen(batch) || done || line !== fromLine) return undefined;
  const begun = split.sent > 0;
  const all = batch.model == null ? models : [batch.model, ...models];
  const model = batch.model === null ? null : modelOf(all);
  const next: BatchRecord = {
    ...batch,
    split: { ...split, at: now },
    ...(model !== undefined && { model }),
    faults: begun ? [] : [...batch.faults, ...added].slice(0, MOST_FAULTS),
    ...(begun && batch.status === 'validating' && { status: 'in_progress', inProgressAt: now }),
  };
  return split.done && !begun ? failed(next, [], now) : next;
}

/** A batch that cannot be worked on: it ends here, with what is wrong. */
export function failed(batch: BatchRecord, faults: readonly BatchFault[], now: number): BatchRecord {
  if (hasEnded(batch)) return batch;
  const all = [...faults, ...batch.faults].slice(0, MOST_FAULTS);
  const { ending: _, final: __, ...rest } = batch;
  return { ...rest, status: 'failed', endedAt: now, faults: all, split: { ...batch.split, at: now } };
}

/** What is wrong with a batch whose input is not the object that it was made of: there is none, or another. */
export function inputFault(
  { input }: BatchRecord,
  found: { readonly etag: string } | undefined,
): BatchFault | undefined {
  if (!found) return faultOf('input_file_missing', 'The input file does not exist any more.');
  if (input.etag === undefined || input.etag === found.etag) return undefined;
  const message = 'The input file was replaced after the batch was made. Make a new batch of it.';
  return faultOf('input_file_changed', message);
}

function faultOf(code: string, message: string): BatchFault {
  return { code, message, param: 'input_file_id', line: null };
}

/**
 * Cancels a batch: no more items of it are begun. Undefined where that has been asked before.
 *
 * @throws ApiError 400 for one that has ended, or of which all is done
 */
export function cancelled(batch: BatchRecord, now: number): BatchRecord | undefined {
  if (batch.status === 'cancelling' || batch.status === 'cancelled') return undefined;
  if (!isOpen(batch)) {
    throw ApiError.invalidRequest(`${batch.id} is ${batch.status} and cannot be cancelled any more.`);
  }
  return { ...batch, status: 'cancelling', cancellingAt: now };
}

/**
 * Ends the wait for results, where all are there or the time for them is over; else, or where that has been done,
 * undefined.
 *
 * @param counts of the items that were sent
 */
export function endingOf(batch: BatchRecord, counts: ItemCounts, now: number): BatchRecord | undefined {
  if (hasEnded(batch) || batch.ending !== undefined) return undefined;
  const { split, deadline } = batch;
  const counted = counts.completed + counts.failed + counts.skipped >= split.sent;
  if (batch.status === 'cancelling') {
    const waited = now >= (batch.cancellingAt ?? 0) + CANCEL_GRACE_SECONDS;
    return counted || waited ? { ...batch, ending: 'cancelled' } : undefined;
  }
  const complete = counted && split.done;
  const tooLate = now >= deadline + EXPIRY_GRACE_SECONDS;
  if (!complete && !tooLate) return undefined;
  return { ...batch, status: 'finalizing', finalizingAt: now, ending: now < deadline ? 'completed' : 'expired' };
}

/** How long one hold on the results lasts, in seconds; whoever has it renews it. */
export const HOLD_SECONDS = 300;

/** In the place of the end of a hold: let go, for whoever comes next. */
export const LET_GO = 1;

/** In the place of the end of a hold: the results stand. */
export const SETTLED = 0;

/**
 * Takes hold of a batch whose results are to be put together, from where the last one stopped. Undefined where there is
 * nothing to do, or another is at it.
 *
 * @param ids of the files that a new beginning makes
 */
export function held(
  batch: BatchRecord,
  owner: string,
  ids: Pick<FinalState, 'outputFileId' | 'errorFileId'>,
  now: number,
): BatchRecord | undefined {
  const { final } = batch;
  if (final && final.until > now && final.owner !== owner) return undefined;
  const until = now + HOLD_SECONDS;
  if (!hasEnded(batch)) {
    if (batch.ending === undefined) return undefined;
    return { ...batch, final: { ...(final ?? beginning(1, ids)), owner, until } };
  }
  if (!final) return undefined;
  // One that was begun after a redrive and not brought to its end goes on; what was replaced since then comes after it.
  if (final.until !== SETTLED) return { ...batch, final: { ...final, owner, until } };
  if (!batch.stale) return undefined;
  return { ...batch, stale: false, final: { ...beginning(final.revision + 1, ids), owner, until } };
}

/** Notes how far the results have been put together; undefined where another has taken over. */
export function advanceFinal(batch: BatchRecord, owner: string, final: Partial<FinalState>): BatchRecord | undefined {
  if (batch.final?.owner !== owner || batch.final.until === SETTLED) return undefined;
  return { ...batch, final: { ...batch.final, ...final } };
}

/** The results stand: the batch has ended. Undefined where another has taken over. */
export function finalised(
  batch: BatchRecord,
  owner: string,
  result: BatchResult,
  status: 'completed' | 'failed' | 'cancelled' | 'expired',
  now: number,
): BatchRecord | undefined {
  const next = advanceFinal(batch, owner, { until: SETTLED });
  if (!next) return undefined;
  return hasEnded(batch) ? { ...next, status, result } : { ...next, status, result, endedAt: now };
}

/**
 * Notes that an item's error was replaced after the wait for results had ended; undefined where it has not, or where that
 * is known.
 */
export function outdated(batch: BatchRecord): BatchRecord | undefined {
  return batch.ending !== undefined && !batch.stale ? { ...batch, stale: true } : undefined;
}

function beginning(
  revision: number,
  ids: Pick<FinalState, 'outputFileId' | 'errorFileId'>,
): Omit<FinalState, 'owner' | 'until'> {
  const tokens = { input: 0, cached: 0, output: 0, reasoning: 0 };
  const tally = { completed: 0, failed: 0, skipped: 0, tokens };
  return { ...ids, revision, line: 0, offset: 0, parts: [], walked: false, tally };
}

function modelOf(models: readonly string[]): string | null | undefined {
  return models.every((model) => model === models[0]) ? models[0] : null;
}
