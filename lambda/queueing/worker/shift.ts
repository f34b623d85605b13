import type { ItemsReport } from '../../observability/items-line';
import type { Claim, ItemMessage, ItemOutcome, ItemRef } from '../item';
import { type DeferredItem, givenBack } from './deferral';
import { type ItemEnding, ItemRun } from './item-run';
import { itemMessageIn } from './item-message';
import { lineIn, spansOf } from './line-spans';
import type { WorkerPorts, WorkMessage } from './ports';
import { RefusedGroups } from './refused-groups';
import { ShiftTime } from './shift-time';
import { Together } from './together';

/** What comes at the same time is sent together. */
const TOGETHER_MS = 20;

/** A claim that came first and does not end: the other worker may be dead since, but is not known to be. */
const HELD_SPREAD_MS = 2000;

/** An item of this invocation, with the messages that stand for it. */
interface Job {
  readonly item: ItemMessage;
  readonly messages: readonly string[];
}

/** One invocation of a worker: takes up to ten messages, and leaves each of them settled or to be delivered again. */
export class Shift {
  private readonly time: ShiftTime;
  private readonly refused = new RefusedGroups();
  private readonly returns: Together<{ readonly entry: DeferredItem; readonly isClaimed: boolean }>;
  private readonly finishes: Together<ItemRef & { readonly outcome: ItemOutcome }>;
  private readonly counts = { completed: 0, failed: 0, skipped: 0, deferred: 0, buried: 0 };
  private readonly kept: string[] = [];
  private readonly seconds: number[] = [];
  private readonly run: ItemRun;

  /** @param remainingMs until the invocation is ended */
  constructor(
    private readonly ports: WorkerPorts,
    remainingMs: number,
  ) {
    this.time = new ShiftTime(ports.now, remainingMs);
    const others = () => ports.pause(TOGETHER_MS);
    this.returns = new Together((returned) => this.giveBack(returned), others);
    this.finishes = new Together((ended) => ports.desk.finish(ended), others);
    this.run = new ItemRun(ports, this.time, this.refused);
  }

  /** Works on messages; never throws. */
  public async work(messages: readonly WorkMessage[]): Promise<ItemsReport> {
    const cancel = this.ports.timer(this.time.leftMs, () => {
      this.run.breakOff();
    });
    try {
      const jobs = await this.sorted(messages);
      const claimed = await this.claimAll(jobs);
      const isSuspect = ({ attempts }: { attempts: number }) => attempts > 1 && claimed.length > 1;
      // Its worker died at a suspect, or at one beside it: on its own it takes nobody along if that happens again.
      const suspects = claimed.filter(isSuspect).map(({ job }) => job);
      const released = await Promise.all(suspects.map((job) => this.released(job)));
      await this.readAndRun(claimed.filter((claim) => !isSuspect(claim)));
      for (const job of suspects.filter((_, i) => released[i])) await this.runAlone(job);
    } finally {
      cancel();
    }
    return { kept: this.kept, seconds: this.seconds, ...this.counts };
  }

  /** The items of the messages, each once. What is no item goes to the dead letters. */
  private async sorted(messages: readonly WorkMessage[]): Promise<Job[]> {
    const jobs = new Map<string, Job>();
    for (const { id, text } of messages) {
      const item = itemMessageIn(text);
      if (!item) {
        await this.buryText(id, text);
        continue;
      }
      const key = `${item.batchId}#${item.line}`;
      const known = jobs.get(key);
      jobs.set(key, { item: known?.item ?? item, messages: [...(known?.messages ?? []), id] });
    }
    return [...jobs.values()];
  }

  private async buryText(id: string, text: string): Promise<void> {
    try {
      await this.ports.deadLetters.send({ text }, 'unreadable');
      this.counts.buried += 1;
    } catch (error) {
      this.ports.onFault(error, { batchId: '', line: 0 });
      this.kept.push(id);
    }
  }

  /** Claims items batch by batch, settles those that need no work, and gives the others. */
  private async claimAll(jobs: readonly Job[]): Promise<{ readonly job: Job; readonly attempts: number }[]> {
    const batches = new Map<string, Job[]>();
    for (const job of jobs) {
      const batch = `${job.item.tenant} ${job.item.batchId}`;
      batches.set(batch, [...(batches.get(batch) ?? []), job]);
    }
    const claims = await Promise.all([...batches.values()].map((batch) => this.claimBatch(batch)));
    return claims.flat();
  }

  private async claimBatch(jobs: readonly Job[]): Promise<{ readonly job: Job; readonly attempts: number }[]> {
    let claims: readonly Claim[];
    try {
      claims = await this.ports.desk.claim(
        jobs.map(({ item }) => item),
        this.time.leaseMs,
      );
    } catch (error) {
      await Promise.all(
        jobs.map((job) =>
          this.guarded(job, () => {
            throw error;
          }),
        ),
      );
      return [];
    }
    const claimed: { job: Job; attempts: number }[] = [];
    await Promise.all(
      jobs.map(async (job, i) => {
        const claim = claims[i]!;
        if (claim.kind === 'claimed') claimed.push({ job, attempts: claim.attempts });
        else await this.guarded(job, () => this.settleUnclaimed(job, claim));
      }),
    );
    return claimed;
  }

  private async settleUnclaimed({ item }: Job, claim: Exclude<Claim, { kind: 'claimed' }>): Promise<void> {
    switch (claim.kind) {
      case 'held': {
        const waitMs = claim.until - this.ports.now() + HELD_SPREAD_MS * this.ports.random();
        await this.return(givenBack(item, waitMs), false);
        return;
      }
      case 'over':
        await this.settle(item, await this.run.over(item, claim.reason), false);
        return;
      case 'done':
      case 'unknown':
        return;
    }
  }

  /** Reads the lines of items, neighbours at once, and works on them side by side. */
  private async readAndRun(claimed: readonly { readonly job: Job; readonly attempts: number }[]): Promise<void> {
    const byItem = new Map(claimed.map((claim) => [claim.job.item, claim]));
    const ready: (() => Promise<boolean>)[] = [];
    await Promise.all(
      spansOf([...byItem.keys()]).map(async (span) => {
        let bytes: Uint8Array | undefined;
        let fault: { readonly error: unknown } | undefined;
        try {
          bytes = await this.ports.read(span.input, span.offset, span.length);
        } catch (error) {
          fault = { error };
        }
        for (const item of span.items) {
          const { job, attempts } = byItem.get(item)!;
          ready.push(() =>
            this.guarded(job, () => {
              if (fault) throw fault.error;
              return this.runOne(item, bytes && lineIn(span, bytes, item), attempts);
            }),
          );
        }
      }),
    );
    const lanes = Array.from({ length: this.ports.itemsAtOnce }, async () => {
      for (let next = ready.shift(); next; next = ready.shift()) await next();
    });
    await Promise.all(lanes);
  }

  private released(job: Job): Promise<boolean> {
    return this.guarded(job, () => this.ports.desk.release([refOf(job.item)]));
  }

  /** Claims one item anew and works on it, with nothing beside it. */
  private async runAlone(job: Job): Promise<void> {
    if (this.time.leftMs > 0) await this.readAndRun(await this.claimBatch([job]));
    else await this.guarded(job, () => this.return(givenBack(job.item, 0), false));
  }

  private async runOne(item: ItemMessage, line: Uint8Array | undefined, attempts: number): Promise<void> {
    const begun = this.ports.now();
    const ending = await this.run.of(item, line, attempts);
    await this.settle(item, ending, true);
    if (ending.kind !== 'returned') this.seconds.push((this.ports.now() - begun) / 1000);
  }

  /** Sends an item back, or counts one that has its result: in the books, then here. */
  private async settle(item: ItemMessage, ending: ItemEnding, isClaimed: boolean): Promise<void> {
    if (ending.kind === 'returned') {
      await this.return(ending.entry, isClaimed);
      return;
    }
    if (ending.kind === 'buried') {
      await this.ports.desk.bury(refOf(item));
      this.counts.buried += 1;
      this.counts.failed += 1;
      return;
    }
    await this.finishes.add({ ...refOf(item), outcome: ending.outcome });
    this.counts[ending.outcome] += 1;
  }

  /** Whether an action came off. What goes wrong at an item puts it off; where not even that works, its messages are delivered again. */
  private async guarded(job: Job, action: () => Promise<void>): Promise<boolean> {
    try {
      await action();
      return true;
    } catch (error) {
      this.ports.onFault(error, job.item);
      try {
        await this.settle(job.item, await this.run.faulted(job.item), true);
      } catch (again) {
        this.ports.onFault(again, job.item);
        this.kept.push(...job.messages);
      }
      return false;
    }
  }

  private async return(entry: DeferredItem, isClaimed: boolean): Promise<void> {
    await this.returns.add({ entry, isClaimed });
    this.counts.deferred += 1;
  }

  private async giveBack(
    returned: readonly { readonly entry: DeferredItem; readonly isClaimed: boolean }[],
  ): Promise<void> {
    const claimed = returned.filter(({ isClaimed }) => isClaimed).map(({ entry }) => refOf(entry.message));
    // A claim that stays is free again when its lease has ended.
    if (claimed.length > 0) {
      await this.ports.desk.release(claimed).catch((error: unknown) => {
        this.ports.onFault(error, claimed[0]!);
      });
    }
    await this.ports.queue.send(returned.map(({ entry }) => entry));
  }
}

function refOf({ tenant, batchId, line }: ItemRef): ItemRef {
  return { tenant, batchId, line };
}
