import { CollectedAnswer } from '../../gateway/collected-answer';
import type { ItemMessage, ItemOutcome, ResultLine } from '../item';
import { answeredLine, faultLine, type ItemFault, outcomeOf } from '../result-line';
import { deferred, type DeferredItem, givenBack, type PutOff } from './deferral';
import { itemRequest, type ItemRequest } from './item-request';
import type { WorkerPorts } from './ports';
import type { RefusedGroups } from './refused-groups';
import type { ShiftTime } from './shift-time';
import { verdictOf } from './verdict';

/** How often backends, or the worker itself, may fail at an item before it is set aside. */
export const MOST_FAILURES = 20;

/** For how long an item waits in its worker for refusals that are soon over, before it goes back into the queue. */
const PATIENCE_MS = 5000;

/** Nobody asks again sooner than this. */
const SHORTEST_WAIT_MS = 50;

/** How long a refusal is believed in that does not say how long it lasts. */
const VAGUE_REFUSAL_MS = 1000;

/** Why a message is among the dead letters. */
export type DeathReason = 'unreadable' | 'worker_crashed' | 'worker_failed' | 'backend_failed';

const TOO_LONG: ItemFault = { code: 'worker_timeout', message: 'This request took longer than a worker may run.' };

/** How an item left the worker. */
export type ItemEnding =
  /** Its result is written. */
  | { readonly kind: 'ended'; readonly outcome: ItemOutcome }
  /** Nobody is to work on it any more: its error is written, and it is among the dead letters. */
  | { readonly kind: 'buried' }
  /** It is to be tried again, or begun. */
  | { readonly kind: 'returned'; readonly entry: DeferredItem };

/** Works on items one by one: asks the gateway, and writes what it says. */
export class ItemRun {
  private readonly running = new Set<CollectedAnswer>();

  constructor(
    private readonly ports: WorkerPorts,
    private readonly time: ShiftTime,
    private readonly refused: RefusedGroups,
  ) {}

  /**
   * Works on an item that is claimed.
   *
   * @param line its line; undefined where the input is gone
   * @param attempts claims of it that were not released, this one too
   */
  public async of(item: ItemMessage, line: Uint8Array | undefined, attempts: number): Promise<ItemEnding> {
    const isWornOut = attempts > this.ports.maxAttempts;
    if (attempts > 1 || (item.failures ?? 0) > 0) {
      // The worker that died, or failed, may have come as far as the result.
      const outcome = await this.ports.shelf.outcome(item);
      const isOldError = outcome === 'failed' && (item.redriven === true || isWornOut || isLastFailure(item));
      if (outcome !== undefined && !isOldError) return { kind: 'ended', outcome };
    }
    const request = line && itemRequest(item, line, this.ports.newId());
    if (isWornOut) {
      const message = `The worker crashed at this request, ${attempts - 1} times.`;
      return this.bury(
        item,
        faultLine(item, request?.customId ?? null, { code: 'worker_crashed', message }),
        'worker_crashed',
      );
    }
    if (!request) {
      const message = 'The input file was removed before this request was run.';
      return this.write(item, faultLine(item, null, { code: 'input_removed', message }));
    }
    if ('fault' in request) return this.write(item, faultLine(item, request.customId, request.fault));
    return this.ask(item, request);
  }

  /** Ends an item that its batch does not want any more. */
  public async over(item: ItemMessage, reason: 'cancelled' | 'expired'): Promise<ItemEnding> {
    if (reason === 'cancelled') return { kind: 'ended', outcome: 'skipped' };
    const line = await this.ports.read(item.input, item.offset, item.length);
    const { customId } = line ? itemRequest(item, line, '') : { customId: null };
    const message = 'This request could not be run before the end of the batch.';
    // An answer that it got meanwhile stands.
    return this.write({ ...item, redriven: undefined }, faultLine(item, customId, { code: 'batch_expired', message }));
  }

  /** Puts an item off at which the worker itself failed, or sets it aside. */
  public async faulted(item: ItemMessage): Promise<ItemEnding> {
    if (!isLastFailure(item)) return this.putOff(item, { failed: true });
    const message = 'The worker failed at this request, again and again.';
    return this.bury(item, faultLine(item, null, { code: 'worker_failed', message }), 'worker_failed');
  }

  /** Breaks off what still runs: the invocation is about to end. */
  public breakOff(): void {
    for (const { hungUp } of this.running) hungUp.abort();
  }

  private async ask(item: ItemMessage, { model, customId, event }: ItemRequest): Promise<ItemEnding> {
    const { now, random, pause, serve, longestMs } = this.ports;
    let patienceMs = PATIENCE_MS;
    for (;;) {
      const refusedMs = this.refused.waitOf(item, model, now());
      if (refusedMs !== undefined) return this.putOff(item, { retryAfterMs: refusedMs });
      if (!this.time.allows(longestMs(model))) return { kind: 'returned', entry: givenBack(item, 0) };
      const answer = new CollectedAnswer();
      this.running.add(answer);
      const record = await serve(event, answer).finally(() => this.running.delete(answer));
      const verdict = verdictOf(answer.status, record);
      const response = { status_code: answer.status, request_id: record.requestId, body: answer.body() };
      if (verdict.kind === 'result') return this.write(item, answeredLine(item, customId, response));
      if (verdict.kind === 'failed') {
        const { retryAfterMs } = verdict;
        if (!isLastFailure(item)) return this.putOff(item, { failed: true, ...(retryAfterMs && { retryAfterMs }) });
        const result = answer.started ? answeredLine(item, customId, response) : faultLine(item, customId, TOO_LONG);
        return this.bury(item, result, 'backend_failed');
      }
      const { retryAfterMs } = verdict;
      const waitMs = Math.max(SHORTEST_WAIT_MS, (retryAfterMs ?? Infinity) * (1 + random() / 4));
      if (waitMs > patienceMs || waitMs > this.time.leftMs) {
        this.refused.close(item, model, now() + (retryAfterMs ?? VAGUE_REFUSAL_MS));
        return this.putOff(item, verdict);
      }
      patienceMs -= waitMs;
      await pause(waitMs);
    }
  }

  /** Writes an item's result. Where it has one, that is its result. */
  private async write(item: ItemMessage, result: ResultLine): Promise<ItemEnding & { readonly kind: 'ended' }> {
    const { shelf } = this.ports;
    const written = await shelf.write(item, result, { replace: item.redriven === true });
    const outcome = written === 'present' ? await shelf.outcome(item) : undefined;
    return { kind: 'ended', outcome: outcome ?? outcomeOf(result) };
  }

  /** Sets an item aside. Its dead letter comes first: one too many does no harm, one too few would. */
  private async bury(item: ItemMessage, result: ResultLine, reason: DeathReason): Promise<ItemEnding> {
    await this.ports.deadLetters.send(item, reason);
    const ending = await this.write(item, result);
    return ending.outcome === 'completed' ? ending : { kind: 'buried' };
  }

  private putOff(item: ItemMessage, why: PutOff): ItemEnding {
    return { kind: 'returned', entry: deferred(item, why, this.ports.random()) };
  }
}

function isLastFailure({ failures = 0 }: ItemMessage): boolean {
  return failures + 1 >= MOST_FAILURES;
}
