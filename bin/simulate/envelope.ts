import { UserError } from '../user-error';
import { decimal, readCsv } from './csv-table';
import { exponential, type Random } from './random';
import type { Lengths, Trace } from './trace';

/** How many requests come in a second, in windows of equal length. */
export interface RateEnvelope {
  readonly source: string;
  readonly rates: Float64Array;
  readonly windowSeconds: number;
}

/** Which part of an envelope is replayed, and how strongly. */
export interface EnvelopeCut {
  /** First day of it, from 0, and how many. */
  readonly day: number;
  readonly days: number;
  /** Mean rate that the cut is scaled to, in requests a second. @default - as it stands */
  readonly meanRate?: number;
}

/**
 * Reads a rate envelope: a CSV file whose first column is the start of each window in seconds, with a column of rates.
 *
 * @throws UserError that names file, line and column
 */
export function readEnvelope(file: string, column: string): RateEnvelope {
  const table = readCsv(file);
  const starts = table.column(table.columns[0]!, 'a number of seconds', decimal);
  const rates = table.column(column, 'a rate of at least 0', (text) => {
    const rate = decimal(text);
    return rate !== undefined && rate >= 0 ? rate : undefined;
  });
  const windowSeconds = starts.length > 1 ? starts[1]! - starts[0]! : 0;
  if (windowSeconds <= 0) throw new UserError(`${file}: must have at least two windows, the second one later`);
  for (let row = 1; row < starts.length; row++) {
    if (Math.abs(starts[row]! - starts[row - 1]! - windowSeconds) > 1e-6) {
      const place = `${file}, line ${row + 2}, column ${table.columns[0]}`;
      throw new UserError(`${place}: windows must be ${windowSeconds} s apart, as the first two are`);
    }
  }
  return { source: `${file} (${column})`, rates, windowSeconds };
}

/** Whole days that an envelope has. */
export function daysOf({ rates, windowSeconds }: RateEnvelope): number {
  return Math.floor((rates.length * windowSeconds) / 86_400);
}

/** Cuts a part out of an envelope: whole windows. */
export function cutEnvelope(envelope: RateEnvelope, cut: EnvelopeCut): RateEnvelope {
  const perDay = 86_400 / envelope.windowSeconds;
  for (const days of [cut.day, cut.days]) {
    const windows = days * perDay;
    if (Math.abs(windows - Math.round(windows)) < 1e-6) continue;
    throw new UserError(
      `${envelope.source}: is cut by whole windows of ${envelope.windowSeconds} s; ${Number((days * 24).toFixed(4))} h are ` +
        `${Number(windows.toFixed(2))} of them`,
    );
  }
  const rates = envelope.rates.slice(Math.round(cut.day * perDay), Math.round((cut.day + cut.days) * perDay));
  if (rates.length < Math.round(cut.days * perDay)) {
    throw new UserError(
      `${envelope.source}: has ${daysOf(envelope)} days, so there are no ${cut.days} from day ${cut.day} on`,
    );
  }
  const mean = rates.reduce((sum, rate) => sum + rate, 0) / rates.length;
  if (mean === 0) throw new UserError(`${envelope.source}: has no request on the days asked for`);
  const factor = cut.meanRate === undefined ? 1 : cut.meanRate / mean;
  return { ...envelope, rates: rates.map((rate) => rate * factor) };
}

/** What is drawn at the most: a week of twenty requests a second, in some 1.5 GB of memory. */
const MOST_REQUESTS = 12_000_000;

/** Requests that come at random (a Poisson process) at the envelope's rates, with lengths drawn at random. */
export function requestsFrom(envelope: RateEnvelope, lengths: Lengths, random: Random): Trace {
  const expected = envelope.rates.reduce((sum, rate) => sum + rate, 0) * envelope.windowSeconds;
  if (!(expected <= MOST_REQUESTS)) {
    throw new UserError(
      `${envelope.source}: comes to ${Math.round(expected)} requests, and at most ${MOST_REQUESTS} are replayed: ` +
        'ask for a lower rate or fewer hours',
    );
  }
  const arrivals: number[] = [];
  envelope.rates.forEach((rate, window) => {
    if (rate === 0) return;
    const end = (window + 1) * envelope.windowSeconds;
    // A Poisson process has no memory, so that each window may begin its own.
    for (let time = window * envelope.windowSeconds; ;) {
      time += exponential(random, rate);
      if (time >= end) break;
      arrivals.push(time);
    }
  });
  if (arrivals.length === 0) throw new UserError(`${envelope.source}: gives no request; raise its rate`);
  const drawn = Int32Array.from(arrivals, () => Math.floor(random() * lengths.inputTokens.length));
  return {
    source: envelope.source,
    arrivals: Float64Array.from(arrivals),
    inputTokens: drawn.map((row) => lengths.inputTokens[row]!),
    outputTokens: drawn.map((row) => lengths.outputTokens[row]!),
    duration: envelope.rates.length * envelope.windowSeconds,
  };
}
