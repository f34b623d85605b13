import { randomUUID } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import type { ResolvedPlan } from '../../../lib/policy/defaults';
import type { AdmitRequest } from '../../../lambda/gateway/request-store';
import { StoreConnection } from '../../../lambda/store/connection';
import { ValkeyStore } from '../../../lambda/store/valkey-store';
import { policy } from '../../lambda/policy';
import { serveParent } from './serve-parent';

/** A race that this process takes part in. */
export interface Race {
  readonly tenant: string;
  readonly plan: ResolvedPlan;
  readonly milliseconds: number;
  /** Requests that this process keeps in progress. */
  readonly concurrency: number;
  /** Longest time that a request holds its slot. */
  readonly longestHoldMs: number;
  /** The most that a request uses, as a share of what was reserved for it. */
  readonly mostUsed: number;
}

/** One request that was let in. */
export interface Run {
  /** The store's clock at its admission, in milliseconds. */
  readonly at: number;
  readonly reserved: number;
  readonly used: number;
  /** When it certainly held its slot, on this machine's clock, in milliseconds. */
  readonly held: readonly [from: number, to: number];
}

/** What came of the race. */
export interface Ledger {
  readonly runs: readonly Run[];
  /** How often each limit refused. */
  readonly refusals: Readonly<Record<string, number>>;
}

const MOST_TOKENS = 400;

/** No loss of the store on a busy machine: what is tried is the race. */
const PATIENCE_MS = 10_000;

const connection = new StoreConnection({
  url: process.env.STORE_URL ?? '',
  timeoutMs: PATIENCE_MS,
  connectTimeoutMs: PATIENCE_MS,
  onError: () => undefined,
});
const store = new ValkeyStore((commands) => connection.trip(commands), Math.random);
const [model] = policy().models;

serveParent<Race, Ledger>(async (race) => {
  const runs: Run[] = [];
  const refusals: Record<string, number> = {};
  const until = performance.now() + race.milliseconds;
  const loop = async () => {
    while (performance.now() < until) {
      const outcome = await once(race);
      if (typeof outcome === 'object') runs.push(outcome);
      else {
        refusals[outcome] = (refusals[outcome] ?? 0) + 1;
        await pause(Math.random() * 4);
      }
    }
  };
  await Promise.all(Array.from({ length: race.concurrency }, loop));
  return { runs, refusals };
});

/** Runs one request, or says which limit refused it. */
async function once({ tenant, plan, longestHoldMs, mostUsed }: Race): Promise<Run | string> {
  const reserved = 1 + Math.floor(Math.random() * MOST_TOKENS);
  const asked: AdmitRequest = {
    ...{ id: randomUUID(), tenant, plan, model: model!, leaseMs: 60_000, chain: [] },
    ...{ inputTokens: reserved, outputTokens: 0 },
  };
  const { verdict, now, refusedBy } = await store.admit(asked);
  if (verdict !== 'admitted') return refusedBy?.limit ?? verdict;
  const from = monotonicMs();
  await pause(Math.random() * longestHoldMs);
  const to = monotonicMs();
  const used = Math.floor(Math.random() * mostUsed * reserved);
  await store.settle({ admitted: asked, used: { inputTokens: used, outputTokens: 0 }, outcomes: [] });
  return { at: now, reserved, used, held: [from, to] };
}

/** One clock for all processes of the machine. */
function monotonicMs(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}
