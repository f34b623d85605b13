import { timeOf } from '../../../lib/policy/pipeline/formats';

/** What a run is asked to do. */
export interface RunRequest {
  /** The time that the run is for, RFC 3339. */
  readonly asOf?: string;
  /** A version, published or held back, whose quarantined records run again. */
  readonly redrive?: string;
  /** The most that the run may cost, by the price that the construct was given for a gigabyte. */
  readonly mostCost?: number;
  /** The run of the leg before, which gave a Glue job what it has worked on. */
  readonly after?: string;
}

/**
 * The time that a run is for, in one form.
 *
 * @throws for what is no time
 */
export function timeOfRun(text: string): string {
  const time = timeOf(text);
  if (time === undefined) throw new Error(`asOf must be a time such as 2026-11-24T00:00:00Z, got ${text}`);
  return new Date(time).toISOString();
}

/**
 * Sees that a run costs no more than it may.
 *
 * @param mostCost undefined where it may cost anything
 * @throws an error that says what it would cost
 */
export function mustCostAtMost(mostCost: number | undefined, bytes: number, costPerGigabyte: number | undefined): void {
  if (mostCost === undefined) return;
  if (costPerGigabyte === undefined) throw new Error('mostCost needs the costPerGigabyte of the construct');
  const cost = (bytes / 1e9) * costPerGigabyte;
  if (cost > mostCost) {
    throw new Error(`the run would cost about ${cost.toFixed(2)}, where ${mostCost} is the most: run fewer files`);
  }
}
