import { afterAll, beforeAll, expect, it, jest } from '@jest/globals';
import { Redis as Valkey } from 'ioredis';
import { type ResolvedPlan, resolvePlan } from '../../lib/policy/defaults';
import { chargesOf } from '../../lambda/rate-limiting/charges';
import { startRealStore, type StoreServer } from '../store-servers';
import { describeOnRealStore } from './real-store';
import { report } from './report';
import { WorkerProcess } from './worker-process';
import type { Ledger, Race, Run } from './workers/limit-racer';

const PROCESSES = 8;
/** Length of one race: `HARD_SECONDS=10` for a long one. */
const RACE_MS = Number(process.env.HARD_SECONDS ?? 1.2) * 1000;

/** Limits that bind nobody; each race makes one of them tight. */
const ROOMY: ResolvedPlan = resolvePlan({
  name: 'racing',
  requestsPerMinute: 10_000_000,
  tokensPerMinute: 100_000_000,
  parallelRequests: 10_000,
});

interface Outcome {
  readonly runs: readonly Run[];
  readonly refusals: Readonly<Record<string, number>>;
  /** The store's arrival time of each limit, in units spent since the first request. */
  readonly books: Readonly<Record<string, number>>;
  readonly mostSlots: number;
  readonly slotsLeft: number;
}

jest.setTimeout(RACE_MS + 30_000);

describeOnRealStore('eight processes that race the limits of one tenant', () => {
  let store: StoreServer;
  let client: Valkey;
  let racers: WorkerProcess<Race, Ledger>[];

  beforeAll(async () => {
    store = await startRealStore();
    client = new Valkey(store.url);
    racers = await Promise.all(
      Array.from({ length: PROCESSES }, () =>
        WorkerProcess.start<Race, Ledger>('limit-racer', { STORE_URL: store.url }),
      ),
    );
  });

  afterAll(async () => {
    await Promise.all(racers.map((racer) => racer.kill()));
    client.disconnect();
    await store.close();
  });

  async function race(
    tenant: string,
    limits: Partial<ResolvedPlan>,
    pace: Partial<Race> = {},
  ): Promise<Outcome & { readonly plan: ResolvedPlan }> {
    const plan = { ...ROOMY, ...limits };
    const start: Race = { tenant, plan, milliseconds: RACE_MS, concurrency: 6, longestHoldMs: 4, mostUsed: 1, ...pace };
    let [over, mostSlots] = [false, 0];
    const watching = (async () => {
      while (!over) mostSlots = Math.max(mostSlots, await client.zcard(`{${tenant}}:parallel`));
    })();
    const ledgers = await Promise.all(racers.map((racer) => racer.ask(start)));
    over = true;
    await watching;
    const runs = ledgers.flatMap((ledger) => ledger.runs).sort((a, b) => a.at - b.at);
    const refusals: Record<string, number> = {};
    for (const [limit, times] of ledgers.flatMap((ledger) => Object.entries(ledger.refusals)))
      refusals[limit] = (refusals[limit] ?? 0) + times;
    const arrivals = await client.hgetall(`{${tenant}}:limits`);
    const nothing = { plan, model: { name: 'llama' }, inputTokens: 0, outputTokens: 0 };
    const books = chargesOf(nothing, 0).limits.map(({ limit, emissionMs }) => {
      return [limit, Math.round((Number(arrivals[limit]) - runs[0]!.at) / emissionMs)] as const;
    });
    const slotsLeft = await client.zcard(`{${tenant}}:parallel`);
    return { plan, runs, refusals, books: Object.fromEntries(books), mostSlots, slotsLeft };
  }

  it('are let in for no more requests than the limit and its refill, at any moment', async () => {
    const { runs, refusals, books } = await race('requests', { requestsPerMinute: 600 });
    const most = mostBeyondRefill(runs, 600, () => 1);
    report('requests', { admitted: runs.length, limit: 600, most, refusals });
    expect(most).toBeLessThanOrEqual(600);
    expect(runs.length).toBeGreaterThanOrEqual(600);
    expect(books.requests).toBe(runs.length);
  });

  it('are let in for no more tokens than the limit and its refill, and the books end at the true usage', async () => {
    const { runs, refusals, books } = await race('tokens', { tokensPerMinute: 60_000 });
    const used = sum(runs, 'used');
    const most = mostSinceStart(runs, 60_000);
    report('tokens', { admitted: runs.length, used, booked: books.tokens, limit: 60_000, most, refusals });
    expect(most).toBeLessThanOrEqual(60_000);
    expect(used).toBeGreaterThan(55_000);
    expect(refusals.tokens).toBeGreaterThan(0);
    expect(books.tokens).toBe(used);
  });

  it('are let in for no more tokens than a day allows', async () => {
    const { runs, refusals, books } = await race('daily', { tokensPerDay: 50_000 });
    const used = sum(runs, 'used');
    report('daily tokens', { admitted: runs.length, used, booked: books.tokensPerDay, limit: 50_000, refusals });
    // A day's refill in the seconds of a race: less than a token each.
    expect(used).toBeLessThanOrEqual(50_000 + RACE_MS / 1000);
    expect(used).toBeGreaterThan(49_000);
    expect(refusals.tokensPerDay).toBeGreaterThan(0);
    expect(books.tokensPerDay).toBe(used);
  });

  it('never run more requests at once than there are slots, and leave no slot behind', async () => {
    const { runs, refusals, mostSlots, slotsLeft } = await race(
      'slots',
      { parallelRequests: 20 },
      { longestHoldMs: 30 },
    );
    const most = mostAtOnce(runs);
    report('parallel', { admitted: runs.length, limit: 20, most, mostSlots, slotsLeft, refusals });
    expect(most).toBeLessThanOrEqual(20);
    expect(mostSlots).toBe(20);
    expect(refusals.parallel).toBeGreaterThan(0);
    expect(slotsLeft).toBe(0);
  });

  it('charge all limits or none, and carry what was used beyond the estimate', async () => {
    const limits = { requestsPerMinute: 900, tokensPerMinute: 90_000, tokensPerDay: 120_000, parallelRequests: 12 };
    const { runs, refusals, books, slotsLeft } = await race('mixed', limits, { mostUsed: 2 });
    const used = sum(runs, 'used');
    report('all at once, with debts', { admitted: runs.length, used, books, refusals, slotsLeft });
    expect(Object.keys(refusals).length).toBeGreaterThanOrEqual(2);
    expect(books).toEqual({ requests: runs.length, tokens: used, tokensPerDay: used });
    expect(slotsLeft).toBe(0);
  });
});

/** The most units that any stretch of time had beyond its refill: for a true token bucket, at most the limit. */
function mostBeyondRefill(runs: readonly Run[], perMinute: number, cost: (run: Run) => number): number {
  let [spent, least, most] = [0, Infinity, 0];
  for (const run of runs) {
    const refilled = (run.at * perMinute) / 60_000;
    least = Math.min(least, spent - refilled);
    spent += cost(run);
    most = Math.max(most, spent - refilled - least);
  }
  // A float holds today's milliseconds times a limit to a hundredth.
  return Math.floor(most * 10) / 10;
}

/** The same for stretches that begin with the first request: what is given back in between can only help those. */
function mostSinceStart(runs: readonly Run[], perMinute: number): number {
  let [used, most] = [0, 0];
  for (const run of runs) {
    used += run.used;
    most = Math.max(most, used - ((run.at - runs[0]!.at) * perMinute) / 60_000);
  }
  return Math.floor(most * 10) / 10;
}

/** The most requests that held a slot at one moment. */
function mostAtOnce(runs: readonly Run[]): number {
  const changes = runs.flatMap(({ held: [from, to] }) => [
    { at: from, change: 1 },
    { at: to, change: -1 },
  ]);
  // At the same moment, what ends goes first.
  changes.sort((a, b) => a.at - b.at || a.change - b.change);
  let [now, most] = [0, 0];
  for (const { change } of changes) {
    now += change;
    most = Math.max(most, now);
  }
  return most;
}

function sum(runs: readonly Run[], field: 'used' | 'reserved'): number {
  return runs.reduce((total, run) => total + run[field], 0);
}
