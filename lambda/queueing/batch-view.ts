import { type BatchFault, type BatchRecord, type BatchStatus, hasEnded, type ItemCounts } from './batch-record';
import type { ResultLine } from './item';

/** A batch in OpenAI's shape. What does not apply is null there, as their API has it. */
export interface BatchObject {
  readonly id: string;
  readonly object: 'batch';
  readonly endpoint: string;
  readonly model: string | null;
  readonly errors: { readonly object: 'list'; readonly data: readonly BatchFault[] } | null;
  readonly input_file_id: string;
  readonly completion_window: '24h';
  readonly status: BatchStatus;
  readonly output_file_id: string | null;
  readonly error_file_id: string | null;
  readonly created_at: number;
  readonly in_progress_at: number | null;
  readonly expires_at: number;
  readonly finalizing_at: number | null;
  readonly completed_at: number | null;
  readonly failed_at: number | null;
  readonly expired_at: number | null;
  readonly cancelling_at: number | null;
  readonly cancelled_at: number | null;
  readonly request_counts: { readonly total: number; readonly completed: number; readonly failed: number };
  readonly metadata: Readonly<Record<string, string>> | null;
  readonly usage?: BatchUsage;
}

interface BatchUsage {
  readonly input_tokens: number;
  readonly input_tokens_details: { readonly cached_tokens: number };
  readonly output_tokens: number;
  readonly output_tokens_details: { readonly reasoning_tokens: number };
  readonly total_tokens: number;
}

/** A job as clients see it. */
export interface JobObject {
  readonly id: string;
  readonly object: 'job';
  readonly status: 'in_progress' | 'completed' | 'failed' | 'expired' | 'cancelling' | 'cancelled';
  readonly url: string;
  readonly model: string | null;
  readonly created_at: number;
  readonly expires_at: number;
  readonly ended_at: number | null;
  /** What the model answered, with whatever status; null until then, and where it could not be asked. */
  readonly response: ResultLine['response'];
  /** Why there is no answer. */
  readonly error: { readonly code: string; readonly message: string; readonly param: string | null } | null;
}

/**
 * A batch as clients see it.
 *
 * @param counts of its items, for one whose results do not stand yet
 */
export function batchObject(batch: BatchRecord, counts: ItemCounts): BatchObject {
  const { status, result, endedAt, faults } = batch;
  const at = (state: BatchStatus) => (status === state ? (endedAt ?? null) : null);
  return {
    ...{ id: batch.id, object: 'batch', endpoint: batch.endpoint, model: batch.model ?? null },
    errors: status === 'failed' ? { object: 'list', data: faults } : null,
    input_file_id: batch.input.fileId ?? '',
    completion_window: '24h',
    status,
    output_file_id: result?.outputFileId ?? null,
    error_file_id: result?.errorFileId ?? null,
    created_at: batch.createdAt,
    in_progress_at: batch.inProgressAt ?? null,
    expires_at: batch.deadline,
    finalizing_at: batch.finalizingAt ?? null,
    completed_at: at('completed'),
    failed_at: at('failed'),
    expired_at: at('expired'),
    cancelling_at: batch.cancellingAt ?? null,
    cancelled_at: at('cancelled'),
    request_counts: requestCounts(batch, counts),
    metadata: batch.metadata ?? null,
    ...(result && { usage: usageOf(result.tally.tokens) }),
  };
}

/** A job as clients see it, with its result where it has one. */
export function jobObject(batch: BatchRecord, result: ResultLine | undefined): JobObject {
  const fault = result?.error ?? batch.faults[0];
  return {
    ...{ id: batch.id, object: 'job', status: jobStatus(batch), url: batch.endpoint, model: batch.model ?? null },
    ...{ created_at: batch.createdAt, expires_at: batch.deadline, ended_at: batch.endedAt ?? null },
    response: result?.response ?? null,
    error: fault ? { code: fault.code, message: fault.message, param: fault.param ?? null } : null,
  };
}

function jobStatus(batch: BatchRecord): JobObject['status'] {
  switch (batch.status) {
    case 'validating':
    case 'in_progress':
    case 'finalizing':
      return 'in_progress';
    case 'completed':
    case 'failed':
    case 'expired':
    case 'cancelling':
    case 'cancelled':
      return batch.status;
  }
}

function requestCounts(batch: BatchRecord, counts: ItemCounts): BatchObject['request_counts'] {
  if (batch.result) {
    const { completed, failed, skipped } = batch.result.tally;
    return { total: completed + failed + skipped, completed, failed };
  }
  const { sent, rejected } = batch.split;
  const total = sent + rejected;
  if (hasEnded(batch)) return { total, completed: 0, failed: total };
  return { total, completed: counts.completed, failed: counts.failed + rejected };
}

function usageOf({
  input,
  cached,
  output,
  reasoning,
}: NonNullable<BatchRecord['result']>['tally']['tokens']): BatchUsage {
  return {
    input_tokens: input,
    input_tokens_details: { cached_tokens: cached },
    output_tokens: output,
    output_tokens_details: { reasoning_tokens: reasoning },
    total_tokens: input + output,
  };
}
