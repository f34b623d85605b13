import type { Gauge } from './fleet-reading';

/**
 * How work grows with the tokens in progress. A server gets through more the more requests share a step, but ever less
 * more: with `BEND` of its rating it is half as fast as it can ever become. Requests stay the longer for it, so that the
 * last tokens in progress stand for less work than the first.
 */
const BEND = 0.4;

/** Over how long the work, and its trend, are averaged: requests come at random and differ a hundredfold. */
const SMOOTHED_SECONDS = 60;

/** The work that is reckoned with is that in so many seconds, if it goes on as it does. */
const AHEAD_SECONDS = 15;

/** After such a gap the past says nothing any more, in milliseconds. */
const LONGEST_GAP_MS = 60_000;

/** The work of a fleet, followed over time. */
export interface WorkMemory {
  readonly tokens: Gauge;
  /** In instances that are at their rating. */
  readonly work: number;
  /** By how much the tokens in progress grow in a second. */
  readonly trend: number;
}

/** Takes a reading of the tokens in progress, at most as old as the last one. */
export function followWork(
  memory: WorkMemory | undefined,
  tokens: Gauge,
  inService: number,
  tokensPerInstance: number,
): WorkMemory {
  const work = workOf(tokens.value, inService, tokensPerInstance);
  const gap = memory ? tokens.at - memory.tokens.at : Infinity;
  if (!memory || gap > LONGEST_GAP_MS) return { tokens, work, trend: 0 };
  if (gap <= 0) return memory;
  const seconds = gap / 1000;
  const part = 1 - Math.exp(-seconds / SMOOTHED_SECONDS);
  const growth = (tokens.value - memory.tokens.value) / seconds;
  return {
    tokens,
    work: memory.work + part * (work - memory.work),
    trend: memory.trend + part * (growth - memory.trend),
  };
}

/** Of a mean that has come to this, nothing is left but its past. */
const NO_WORK = 0.01;

/**
 * The work that is reckoned with, in instances at their rating, at least 0.
 *
 * @param asked how many times as much was asked for as was let in
 */
export function workAhead({ tokens, work, trend }: WorkMemory, tokensPerInstance: number, asked = 1): number {
  if (tokens.value === 0 && work < NO_WORK) return 0;
  return Math.max(0, work * asked + (trend * AHEAD_SECONDS) / tokensPerInstance);
}

/** Work in instances at their rating: along the bend up to the rating, and straight on beyond, where requests queue. */
function workOf(tokens: number, inService: number, tokensPerInstance: number): number {
  if (inService === 0) return tokens / tokensPerInstance;
  const filled = tokens / inService / tokensPerInstance;
  const each = filled <= 1 ? (filled * (1 + BEND)) / (filled + BEND) : 1 + ((filled - 1) * BEND) / (1 + BEND);
  return inService * each;
}
