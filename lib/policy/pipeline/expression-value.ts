import { type BinaryOperator, type Expression, ExpressionFault } from './expression';
import { canonical } from './schema-check';

/** Characters of a text that "+" makes: many times the largest record. */
const MOST_CHARACTERS = 64 * 1024 * 1024;

/** Evaluates an expression in the fields of a record. Throws ExpressionFault where it has no value, as CEL does. */
export function evaluate(expression: Expression, record: Readonly<Record<string, unknown>>): unknown {
  switch (expression.kind) {
    case 'literal':
      return expression.value;
    case 'list':
      return expression.items.map((item) => evaluate(item, record));
    case 'field':
      return fieldOf(expression.path, record);
    case 'unary': {
      const value = evaluate(expression.operand, record);
      return expression.operator === '!' ? !truth(value, '!') : -number(value, '-');
    }
    case 'choice':
      return truth(evaluate(expression.condition, record), '?')
        ? evaluate(expression.yes, record)
        : evaluate(expression.no, record);
    case 'call':
      return call(expression, record);
    case 'binary':
      if (expression.operator === '&&' || expression.operator === '||') {
        return logical(expression.operator, expression.left, expression.right, record);
      }
      return binary(expression.operator, evaluate(expression.left, record), evaluate(expression.right, record));
  }
}

/** In CEL one side can decide alone, whichever it is, even where the other has no value. */
function logical(
  operator: '&&' | '||',
  left: Expression,
  right: Expression,
  record: Readonly<Record<string, unknown>>,
): boolean {
  const decides = operator === '||';
  let fault: unknown;
  try {
    if (truth(evaluate(left, record), operator) === decides) return decides;
  } catch (error) {
    fault = error;
  }
  if (truth(evaluate(right, record), operator) === decides) return decides;
  if (fault !== undefined) throw fault as Error;
  return !decides;
}

function binary(operator: Exclude<BinaryOperator, '&&' | '||'>, left: unknown, right: unknown): unknown {
  switch (operator) {
    case '==':
      return equal(left, right);
    case '!=':
      return !equal(left, right);
    case '<':
    case '<=':
    case '>':
    case '>=': {
      const order = compare(left, right, operator);
      return operator === '<' ? order < 0 : operator === '<=' ? order <= 0 : operator === '>' ? order > 0 : order >= 0;
    }
    case 'in':
      if (Array.isArray(right)) return right.some((item) => equal(left, item));
      if (typeof right === 'object' && right !== null && typeof left === 'string') return Object.hasOwn(right, left);
      throw new ExpressionFault(`"in" needs a list, or a name and an object`);
    case '+':
      if (typeof left === 'string' && typeof right === 'string') return joined(left, right);
      return number(left, '+') + number(right, '+');
    case '-':
      return number(left, '-') - number(right, '-');
    case '*':
      return number(left, '*') * number(right, '*');
    case '/':
    case '%': {
      const divisor = number(right, operator);
      if (divisor === 0) throw new ExpressionFault('divides by zero');
      return operator === '/' ? number(left, '/') / divisor : number(left, '%') % divisor;
    }
  }
}

function call(
  { name, args }: Extract<Expression, { kind: 'call' }>,
  record: Readonly<Record<string, unknown>>,
): unknown {
  if (name === 'has') return hasField((args[0] as Extract<Expression, { kind: 'field' }>).path, record);
  const [target, argument] = args.map((arg) => evaluate(arg, record));
  if (name === 'size') return sizeOf(target);
  if (typeof target !== 'string' || typeof argument !== 'string') throw new ExpressionFault(`${name} needs two texts`);
  if (name === 'startsWith') return target.startsWith(argument);
  return name === 'endsWith' ? target.endsWith(argument) : target.includes(argument);
}

/** Characters of a text, items of a list, fields of an object. */
function sizeOf(value: unknown): number {
  if (typeof value === 'string') return charactersIn(value);
  if (Array.isArray(value)) return value.length;
  if (typeof value === 'object' && value !== null) return Object.keys(value).length;
  throw new ExpressionFault('size needs a text, a list or an object');
}

function charactersIn(text: string): number {
  let characters = 0;
  for (const _ of text) characters++;
  return characters;
}

function joined(left: string, right: string): string {
  if (left.length + right.length > MOST_CHARACTERS) {
    throw new ExpressionFault(`"+" makes a text of more than ${MOST_CHARACTERS} characters`);
  }
  return left + right;
}

function fieldOf(path: readonly string[], record: unknown): unknown {
  let value = record;
  for (const name of path) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, name)) {
      throw new ExpressionFault(`has no field ${path.join('.')}`);
    }
    value = (value as Record<string, unknown>)[name];
  }
  return value;
}

function hasField(path: readonly string[], record: unknown): boolean {
  let value = record;
  for (const name of path) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, name)) return false;
    value = (value as Record<string, unknown>)[name];
  }
  return true;
}

function equal(left: unknown, right: unknown): boolean {
  if (typeof left !== 'object' || typeof right !== 'object') return left === right;
  return canonical(left) === canonical(right);
}

function compare(left: unknown, right: unknown, operator: string): number {
  if (typeof left === 'string' && typeof right === 'string') return left < right ? -1 : left > right ? 1 : 0;
  return number(left, operator) - number(right, operator);
}

function number(value: unknown, operator: string): number {
  if (typeof value === 'number') return value;
  throw new ExpressionFault(`"${operator}" needs numbers, got ${value === null ? 'null' : typeof value}`);
}

function truth(value: unknown, operator: string): boolean {
  if (typeof value === 'boolean') return value;
  throw new ExpressionFault(`"${operator}" needs true or false, got ${value === null ? 'null' : typeof value}`);
}
