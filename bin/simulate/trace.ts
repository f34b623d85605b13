import { UserError } from '../user-error';
import { type CsvTable, decimal, readCsv } from './csv-table';

/** Requests in the order of their arrival. */
export interface Trace {
  /** Where it comes from, for people. */
  readonly source: string;
  /** Seconds from the start. */
  readonly arrivals: Float64Array;
  readonly inputTokens: Int32Array;
  readonly outputTokens: Int32Array;
  /** Length in seconds, at least the last arrival. */
  readonly duration: number;
}

/** Tokens of requests, to draw from. Input and output stay together as they were seen. */
export interface Lengths {
  readonly inputTokens: Int32Array;
  readonly outputTokens: Int32Array;
}

const MOST_TOKENS = 10_000_000;

/** What the columns are called: here, and in the traces that Azure publishes. */
const NAMES = { time: ['time', 'TIMESTAMP'], input: ['input', 'ContextTokens'], output: ['output', 'GeneratedTokens'] };

/**
 * Reads a trace of requests: a CSV file with the columns time, input and output (or Azure's TIMESTAMP, ContextTokens and
 * GeneratedTokens). Times are seconds, or dates with a time of day; the first request comes at 0.
 *
 * @throws UserError that names file, line and column
 */
export function readTrace(file: string): Trace {
  const table = readCsv(file);
  const times = table.column(nameOf(table, 'time'), 'seconds or a date such as 2026-01-31 12:00:00', readTime);
  const lengths = readLengthsOf(table);
  const start = times[0]!;
  const arrivals = times.map((time) => time - start);
  for (let row = 1; row < arrivals.length; row++) {
    if (arrivals[row]! < arrivals[row - 1]!) {
      const place = `${file}, line ${row + 2}, column ${nameOf(table, 'time')}`;
      throw new UserError(`${place}: must not be earlier than the line before; sort the trace by time`);
    }
  }
  return { source: file, arrivals, ...lengths, duration: arrivals.at(-1)! };
}

/** Reads the tokens of a trace's requests, whatever their times. */
export function readLengths(file: string): Lengths {
  return readLengthsOf(readCsv(file));
}

function readLengthsOf(table: CsvTable): Lengths {
  return {
    inputTokens: Int32Array.from(tokens(table, nameOf(table, 'input'))),
    outputTokens: Int32Array.from(tokens(table, nameOf(table, 'output'))),
  };
}

function tokens(table: CsvTable, column: string): Float64Array {
  return table.column(column, `a whole number from 1 to ${MOST_TOKENS}`, (text) => {
    const number = /^\d+$/.test(text) ? Number(text) : 0;
    return number >= 1 && number <= MOST_TOKENS ? number : undefined;
  });
}

function nameOf(table: CsvTable, column: keyof typeof NAMES): string {
  return NAMES[column].find((name) => table.columns.includes(name)) ?? NAMES[column][0]!;
}

/** Seconds: a plain number, or a date with a time of day, in UTC where it names no zone. */
function readTime(text: string): number | undefined {
  const number = decimal(text);
  if (number !== undefined) return number;
  const [, date, time, fraction, zone] =
    /^(\d{4}-\d{2}-\d{2})[ T](\d{2}:\d{2}:\d{2})(\.\d+)?(Z|[+-]\d{2}:?\d{2})?$/.exec(text) ?? [];
  if (date === undefined) return undefined;
  const milliseconds = Date.parse(`${date}T${time}${zone ?? 'Z'}`);
  return Number.isNaN(milliseconds) ? undefined : milliseconds / 1000 + Number(fraction ?? 0);
}
