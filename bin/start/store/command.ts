import { ErrorReply, type Reply } from '../resp';
import type { Keyspace } from './keyspace';

/** Bytes, one character (U+0000 to U+00FF) each: what keys, values and arguments are, since they may be anything. */
export type Bytes = string;

/** A command of the data, as Redis 7 has it. */
export interface Command {
  /** How many arguments it takes, its name aside. */
  readonly least: number;
  readonly most: number;
  /** Runs it at once and answers. @throws ErrorReply where Redis answers an error */
  run(db: Keyspace, args: readonly Bytes[]): Reply;
}

export type Commands = Readonly<Record<string, Command>>;

/** A command that takes exactly so many arguments. */
export function exactly(count: number, run: Command['run']): Command {
  return { least: count, most: count, run };
}

/** A command that takes so many arguments or more. */
export function atLeast(count: number, run: Command['run']): Command {
  return { least: count, most: Infinity, run };
}

export const SYNTAX_ERROR = 'ERR syntax error';
const NO_INTEGER = 'ERR value is not an integer or out of range';
const MOST_INTEGER = 2n ** 63n - 1n;
const INTEGER = /^(0|-?[1-9][0-9]{0,18})$/;
const FLOAT = /^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)(e[+-]?[0-9]+)?$/i;
const INFINITY = /^[+-]?inf(inity)?$/i;

/** A whole number of 64 bits. */
export function parseBigInteger(text: Bytes): bigint {
  if (!INTEGER.test(text)) throw new ErrorReply(NO_INTEGER);
  return inRange(BigInt(text), NO_INTEGER);
}

/** The same where it cannot be large enough to be rounded and matter. */
export function parseInteger(text: Bytes): number {
  return Number(parseBigInteger(text));
}

export function inRange(integer: bigint, otherwise: string): bigint {
  if (integer > MOST_INTEGER || integer < -MOST_INTEGER - 1n) throw new ErrorReply(otherwise);
  return integer;
}

/** A number, which may be infinite where that is meant: not one that is too large, or too small, for a float. */
export function parseFloating(text: Bytes, otherwise: string): number {
  const value = parseRounded(text, otherwise);
  const isRounded = Number.isFinite(value) ? value === 0 && /^[^e]*[1-9]/i.test(text) : !INFINITY.test(text);
  if (isRounded) throw new ErrorReply(otherwise);
  return value;
}

/** The same, and what is too large is infinite and what is too small nothing. */
export function parseRounded(text: Bytes, otherwise: string): number {
  if (INFINITY.test(text)) return text.startsWith('-') ? -Infinity : Infinity;
  if (!FLOAT.test(text)) throw new ErrorReply(otherwise);
  return Number(text);
}

/** As much of a text as Redis quotes in an error: what comes before a zero byte. */
export function asCString(text: Bytes): Bytes {
  return text.split('\0', 1)[0]!;
}
