import { type Fault, show } from '../fields';
import type { PipelineDefinition } from './definition';
import { ExpressionFault, parseExpression } from './expression';
import { checkExpression } from './expression-check';
import { type JsonSchema, type JsonType, typesOf } from './json-schema';
import type { StageRule } from './rules';
import type { StageContract } from './stage-contracts';

/** Appends what is wrong with the rules of stages whose contracts are sound. */
export function checkRules(
  { stages, references = [] }: PipelineDefinition,
  contracts: readonly StageContract[],
  faults: Fault[],
): void {
  const sets = references.map(({ name }) => name);
  stages.forEach(({ rules = [], work }, i) => {
    rules.forEach((rule, j) => {
      const path = `stages[${i}].rules[${j}]`;
      checkFields(rule, path, contracts[i]!.output, faults);
      checkBounds(rule, path, faults);
      checkText(rule, path, contracts[i]!.output, faults);
      if (rule.reference && !sets.includes(rule.reference.set)) {
        const known = sets.map(show).join(', ') || 'none';
        const message = `must name a set of references (${known}), got ${show(rule.reference.set)}`;
        faults.push({ path: `${path}.reference.set`, message });
      }
      if (work.embed && rule.unique?.includes('embedding')) {
        faults.push({ path: `${path}.unique`, message: 'must not hold "embedding": a vector is no key' });
      }
    });
  });
}

/** A rule about a field that the stage does not give would hold for every record, or for none. */
function checkFields(rule: StageRule, path: string, output: JsonSchema, faults: Fault[]): void {
  const wanted: [path: string, field: string, types: readonly JsonType[]][] = [
    ...named(rule.required, `${path}.required`),
    ...named(rule.unique, `${path}.unique`),
  ];
  if (rule.range) wanted.push([`${path}.range.field`, rule.range.field, ['number', 'integer']]);
  if (rule.time) wanted.push([`${path}.time.field`, rule.time.field, ['string']]);
  if (rule.reference) wanted.push([`${path}.reference.field`, rule.reference.field, ['string', 'number', 'integer']]);
  const given = output.properties ?? {};
  for (const [at, field, types] of wanted) {
    if (!Object.hasOwn(given, field)) {
      const known = Object.keys(given).map(show).join(', ') || 'none';
      faults.push({
        path: at,
        message: `must be a field that the stage's output describes (${known}), got ${show(field)}`,
      });
      continue;
    }
    const found = typesOf(given[field]!);
    if (types.length > 0 && !found.some((type) => types.includes(type))) {
      faults.push({ path: at, message: `must be a ${types[0]}, but the output says ${found.join(' or ')}` });
    }
  }
}

function named(fields: readonly string[] | undefined, path: string): [string, string, readonly JsonType[]][] {
  return (fields ?? []).map((field, i) => [`${path}[${i}]`, field, []]);
}

function checkBounds({ range, time }: StageRule, path: string, faults: Fault[]): void {
  if (range && range.min === undefined && range.max === undefined) {
    faults.push({ path: `${path}.range`, message: 'must set min or max' });
  }
  if (range?.min !== undefined && range.max !== undefined && range.min > range.max) {
    faults.push({ path: `${path}.range.max`, message: `must be at least min (${range.min}), got ${range.max}` });
  }
  if (time && time.mostAgeSeconds === undefined && time.mostAheadSeconds === undefined) {
    faults.push({ path: `${path}.time`, message: 'must set mostAgeSeconds or mostAheadSeconds' });
  }
}

function checkText({ expression }: StageRule, path: string, output: JsonSchema, faults: Fault[]): void {
  if (expression === undefined) return;
  try {
    checkExpression(parseExpression(expression), output);
  } catch (error) {
    if (!(error instanceof ExpressionFault)) throw error;
    faults.push({ path: `${path}.expression`, message: error.message });
  }
}
