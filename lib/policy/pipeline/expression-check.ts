import { type Expression, ExpressionFault } from './expression';
import { type JsonSchema, type JsonType, typesOf } from './json-schema';

type Types = ReadonlySet<JsonType>;

const NUMBERS: readonly JsonType[] = ['number', 'integer'];
const ALL: Types = new Set(typesOf({}));
const TRUTH: Types = new Set(['boolean']);

/**
 * Checks an expression against the schema of the records that it is for: each field must be described, each operator must
 * have a chance to work, and the whole must be true or false.
 *
 * @throws ExpressionFault that names the column
 */
export function checkExpression(expression: Expression, schema: JsonSchema): void {
  const types = typesIn(expression, schema);
  if (!types.has('boolean')) throw new ExpressionFault(`must be true or false, is ${[...types].join(' or ')}`);
}

function typesIn(expression: Expression, schema: JsonSchema): Types {
  switch (expression.kind) {
    case 'literal':
      return new Set([typeOfLiteral(expression.value)]);
    case 'list':
      expression.items.forEach((item) => typesIn(item, schema));
      return new Set(['array']);
    case 'field':
      return fieldTypes(expression, schema);
    case 'unary': {
      const wanted: readonly JsonType[] = expression.operator === '!' ? ['boolean'] : NUMBERS;
      need(typesIn(expression.operand, schema), wanted, expression.operator, expression.at);
      return expression.operator === '!' ? TRUTH : new Set(['number']);
    }
    case 'choice': {
      need(typesIn(expression.condition, schema), ['boolean'], '?', expression.at);
      return new Set([...typesIn(expression.yes, schema), ...typesIn(expression.no, schema)]);
    }
    case 'call': {
      const args = expression.args.map((arg) => typesIn(arg, schema));
      if (expression.name === 'has') return TRUTH;
      if (expression.name === 'size') {
        need(args[0]!, ['string', 'array', 'object'], 'size', expression.at);
        return new Set(['number']);
      }
      args.forEach((types) => need(types, ['string'], expression.name, expression.at));
      return TRUTH;
    }
    case 'binary':
      return binaryTypes(expression, schema);
  }
}

function binaryTypes(expression: Extract<Expression, { kind: 'binary' }>, schema: JsonSchema): Types {
  const { operator, at } = expression;
  const left = typesIn(expression.left, schema);
  const right = typesIn(expression.right, schema);
  switch (operator) {
    case '||':
    case '&&':
      need(left, ['boolean'], operator, at);
      need(right, ['boolean'], operator, at);
      return TRUTH;
    case '==':
    case '!=':
      if (!meet(left, right)) mismatch(left, right, operator, at);
      return TRUTH;
    case '<':
    case '<=':
    case '>':
    case '>=':
      if (!both(left, right, NUMBERS) && !both(left, right, ['string'])) mismatch(left, right, operator, at);
      return TRUTH;
    case 'in':
      need(right, ['array', 'object'], operator, at);
      return TRUTH;
    case '+':
      if (both(left, right, ['string'])) {
        return both(left, right, NUMBERS) ? new Set(['string', 'number']) : new Set(['string']);
      }
      if (!both(left, right, NUMBERS)) mismatch(left, right, operator, at);
      return new Set(['number']);
    case '-':
    case '*':
    case '/':
    case '%':
      need(left, NUMBERS, operator, at);
      need(right, NUMBERS, operator, at);
      return new Set(['number']);
  }
}

function fieldTypes({ path, at }: Extract<Expression, { kind: 'field' }>, schema: JsonSchema): Types {
  let inner: JsonSchema = schema;
  for (const [depth, name] of path.entries()) {
    const properties = inner.properties ?? {};
    if (Object.hasOwn(properties, name)) inner = properties[name]!;
    else if (inner.properties === undefined && inner.additionalProperties !== false) return ALL;
    else {
      const known = Object.keys(properties).join(', ') || 'none';
      const field = path.slice(0, depth + 1).join('.');
      throw new ExpressionFault(`column ${at}: ${field} is no field that the output describes (${known})`);
    }
  }
  const types = typesOf(inner);
  // A list of values says more than the type that is left out.
  if (inner.type === undefined && inner.enum !== undefined) return new Set(inner.enum.map(typeOfLiteral));
  return new Set(types);
}

function typeOfLiteral(value: unknown): JsonType {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'array';
  const type = typeof value;
  return type === 'number' || type === 'string' || type === 'boolean' ? type : 'object';
}

function meet(left: Types, right: Types): boolean {
  return [...left].some((type) => right.has(type)) || both(left, right, NUMBERS);
}

function both(left: Types, right: Types, wanted: readonly JsonType[]): boolean {
  return wanted.some((type) => left.has(type)) && wanted.some((type) => right.has(type));
}

function need(types: Types, wanted: readonly JsonType[], operator: string, at: number): void {
  if (wanted.some((type) => types.has(type))) return;
  throw new ExpressionFault(`column ${at}: ${operator} needs ${wanted[0]}, got ${[...types].join(' or ')}`);
}

function mismatch(left: Types, right: Types, operator: string, at: number): never {
  const [one, other] = [[...left].join(' or '), [...right].join(' or ')];
  throw new ExpressionFault(`column ${at}: ${operator} cannot compare or join ${one} with ${other}`);
}
