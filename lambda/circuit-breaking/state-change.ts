import type { BreakerStatus } from './breaker';

/** A breaker that changed, or was told to. */
export interface StateChange {
  readonly backend: string;
  /** What the breaker did with calls before. */
  readonly from: BreakerStatus;
  /** What it does with them now; the same as before where an order changed nothing but how long it holds. */
  readonly to: BreakerStatus;
  /** When, in milliseconds since 1970. */
  readonly at: number;
  /** What moved it: the outcomes of calls, or an operator's order. */
  readonly reason: 'calls' | 'operator';
  /** When an open breaker lets calls through again, in milliseconds since 1970; undefined where no time is set. */
  readonly openUntil?: number;
}

/** An event for an event bus. */
export interface BusEvent {
  readonly source: string;
  readonly detailType: string;
  readonly detail: Readonly<Record<string, unknown>>;
  /** When it happened, in milliseconds since 1970. */
  readonly time: number;
}

/** By these two, rules find the events. */
const SOURCE = 'cdk-inference-platform';
const DETAIL_TYPE = 'Circuit Breaker State Change';

/** The event of a change; its times are ISO 8601 text. */
export function eventOf(change: StateChange, service: string): BusEvent {
  const { backend, from, to, at, reason, openUntil } = change;
  const until = openUntil !== undefined && { openUntil: isoTime(openUntil) };
  const detail = { service, backend, from, to, at: isoTime(at), reason, ...until };
  return { source: SOURCE, detailType: DETAIL_TYPE, detail, time: at };
}

/** A time as people and machines read it. */
export function isoTime(ms: number): string {
  return new Date(ms).toISOString();
}
