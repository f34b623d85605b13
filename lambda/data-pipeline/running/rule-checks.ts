import type { StageRule } from '../../../lib/policy';
import { ExpressionFault, parseExpression } from '../../../lib/policy/pipeline/expression';
import { evaluate } from '../../../lib/policy/pipeline/expression-value';
import { timeOf } from '../../../lib/policy/pipeline/formats';
import { canonical } from '../../../lib/policy/pipeline/schema-check';
import { sha256 } from '../digest';
import { type DataRecord, fieldOf } from '../reading/source-record';

/** A rule that one record can be judged by. Says what is wrong, without the value. */
export interface RecordRule {
  readonly name: string;
  readonly check: (record: DataRecord) => string | undefined;
}

/** A rule of uniqueness, which is judged when all records are there. */
export interface UniqueRule {
  readonly name: string;
  /** A hash of the key, undefined for a record that lacks a part of it. */
  readonly keyOf: (record: DataRecord) => string | undefined;
}

/** What rules need from the run. */
export interface RuleContext {
  /** The time that the run is for, in milliseconds since 1970; needed by rules of time. */
  readonly asOf?: number;
  readonly references: ReadonlyMap<string, ReadonlySet<string | number>>;
}

/** Digits of a key's hash: 128 bits, at which two of a billion keys meet with a chance of 10⁻²¹. */
export const KEY_DIGITS = 32;

/** Turns rules into checks, once for a run. */
export function compileRules(
  rules: readonly StageRule[],
  context: RuleContext,
): { records: RecordRule[]; unique: UniqueRule[] } {
  const records: RecordRule[] = [];
  const unique: UniqueRule[] = [];
  for (const rule of rules) {
    if (rule.unique) unique.push({ name: rule.name, keyOf: keyOf(rule.unique) });
    else records.push({ name: rule.name, check: checkOf(rule, context) });
  }
  return { records, unique };
}

/** The rules of uniqueness among a stage's rules, in the order by which their keys are told apart. */
export function uniqueKeysOf(rules: readonly StageRule[]): { name: string; fields: readonly string[] }[] {
  return rules.flatMap(({ name, unique }) => (unique ? [{ name, fields: unique }] : []));
}

function keyOf(fields: readonly string[]): UniqueRule['keyOf'] {
  return (record) => {
    const values = fields.map((field) => fieldOf(record, field));
    return values.includes(undefined) ? undefined : sha256(canonical(values)).slice(0, KEY_DIGITS);
  };
}

function checkOf(rule: StageRule, context: RuleContext): RecordRule['check'] {
  if (rule.required) return required(rule.required);
  if (rule.range) return range(rule.range);
  if (rule.reference) return reference(rule.reference, context);
  if (rule.time) return time(rule.name, rule.time, context);
  return expression(rule.expression ?? 'true');
}

function required(fields: readonly string[]): RecordRule['check'] {
  return (record) => {
    const missing = fields.find((field) => isBlank(fieldOf(record, field)));
    return missing === undefined ? undefined : `${missing} is missing, null or blank`;
  };
}

function isBlank(value: unknown): boolean {
  return value === undefined || value === null || (typeof value === 'string' && value.trim() === '');
}

function range({ field, min = -Infinity, max = Infinity }: NonNullable<StageRule['range']>): RecordRule['check'] {
  return (record) => {
    const value = fieldOf(record, field);
    if (value === undefined || value === null) return undefined;
    if (typeof value === 'number' && value >= min && value <= max) return undefined;
    const words = [...(min === -Infinity ? [] : [`at least ${min}`]), ...(max === Infinity ? [] : [`at most ${max}`])];
    return `${field} is not ${words.join(' and ')}`;
  };
}

function reference(
  { field, set }: NonNullable<StageRule['reference']>,
  { references }: RuleContext,
): RecordRule['check'] {
  const values = references.get(set);
  if (!values) throw new Error(`the set of references "${set}" was not loaded`);
  return (record) => {
    const value = fieldOf(record, field);
    if (value === undefined || value === null) return undefined;
    const isThere = (typeof value === 'string' || typeof value === 'number') && values.has(value);
    return isThere ? undefined : `${field} does not stand in ${set}`;
  };
}

function time(
  name: string,
  { field, mostAgeSeconds = Infinity, mostAheadSeconds = Infinity }: NonNullable<StageRule['time']>,
  { asOf }: RuleContext,
): RecordRule['check'] {
  if (asOf === undefined) throw new Error(`the rule "${name}" needs the time that the run is for (asOf)`);
  return (record) => {
    const value = fieldOf(record, field);
    if (value === undefined || value === null) return undefined;
    const at = timeOf(value);
    if (at === undefined) return `${field} is no date-time`;
    if (asOf - at > mostAgeSeconds * 1000) return `${field} lies more than ${mostAgeSeconds} s before the run's time`;
    return at - asOf > mostAheadSeconds * 1000
      ? `${field} lies more than ${mostAheadSeconds} s after the run's time`
      : undefined;
  };
}

function expression(source: string): RecordRule['check'] {
  const parsed = parseExpression(source);
  return (record) => {
    try {
      return evaluate(parsed, record) === true ? undefined : `does not hold: ${source}`;
    } catch (error) {
      if (!(error instanceof ExpressionFault)) throw error;
      return `cannot be judged, ${error.message}: ${source}`;
    }
  };
}
