/**
 * The language of expression rules: the part of CEL (Common Expression Language) that needs no library. It always ends, has
 * no side effect and no regular expression, and costs time in proportion to the record; that, and a check of its fields
 * against the schema at synth, is what JSONata could not give, which is Turing-complete and evaluates asynchronously.
 */
export type Expression =
  | { readonly kind: 'literal'; readonly value: unknown }
  | { readonly kind: 'list'; readonly items: readonly Expression[] }
  | { readonly kind: 'field'; readonly path: readonly string[]; readonly at: number }
  | { readonly kind: 'unary'; readonly operator: '!' | '-'; readonly operand: Expression; readonly at: number }
  | {
      readonly kind: 'binary';
      readonly operator: BinaryOperator;
      readonly left: Expression;
      readonly right: Expression;
      readonly at: number;
    }
  | {
      readonly kind: 'choice';
      readonly condition: Expression;
      readonly yes: Expression;
      readonly no: Expression;
      readonly at: number;
    }
  | { readonly kind: 'call'; readonly name: FunctionName; readonly args: readonly Expression[]; readonly at: number };

export type BinaryOperator = '||' | '&&' | '==' | '!=' | '<' | '<=' | '>' | '>=' | 'in' | '+' | '-' | '*' | '/' | '%';

/** `has` asks for a field, `size` for the length of a text, list or object; the others are called on a text. */
export type FunctionName = 'has' | 'size' | 'startsWith' | 'endsWith' | 'contains';

/** An expression that cannot be read or checked. */
export class ExpressionFault extends Error {}

const MOST_CHARACTERS = 2000;
const MOST_DEPTH = 50;

const METHODS: readonly FunctionName[] = ['startsWith', 'endsWith', 'contains', 'size'];

const LEVELS: readonly (readonly BinaryOperator[])[] = [
  ['||'],
  ['&&'],
  ['==', '!=', '<=', '>=', '<', '>', 'in'],
  ['+', '-'],
  ['*', '/', '%'],
];

const TOKEN =
  /\s*(?:(\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)|("(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*')|([A-Za-z_][A-Za-z0-9_]*)|(\|\||&&|==|!=|<=|>=|[<>+\-*/%!?:()[\],.]))/y;

interface Token {
  readonly kind: 'number' | 'text' | 'word' | 'sign' | 'end';
  readonly text: string;
  /** Column, from 1. */
  readonly at: number;
}

/**
 * Reads an expression.
 *
 * @throws ExpressionFault that names the column
 */
export function parseExpression(source: string): Expression {
  if (source.length > MOST_CHARACTERS) throw new ExpressionFault(`is longer than ${MOST_CHARACTERS} characters`);
  const parser = new Parser(tokensOf(source));
  return parser.whole();
}

function tokensOf(source: string): Token[] {
  const tokens: Token[] = [];
  const end = source.trimEnd().length;
  TOKEN.lastIndex = 0;
  while (TOKEN.lastIndex < end) {
    const from = TOKEN.lastIndex;
    const match = TOKEN.exec(source);
    if (!match)
      throw new ExpressionFault(
        `column ${from + 1}: cannot read ${JSON.stringify(source.slice(from, from + 10).trim())}`,
      );
    const [, number, text, word, sign] = match;
    const token = (number ?? text ?? word ?? sign)!;
    const kind = number !== undefined ? 'number' : text !== undefined ? 'text' : word !== undefined ? 'word' : 'sign';
    tokens.push({ kind, text: token, at: TOKEN.lastIndex - token.length + 1 });
  }
  return [...tokens, { kind: 'end', text: 'the end', at: end + 1 }];
}

class Parser {
  private next = 0;
  private depth = 0;

  constructor(private readonly tokens: readonly Token[]) {}

  public whole(): Expression {
    const expression = this.choice();
    if (this.peek().kind !== 'end') this.unexpected('an operator');
    return expression;
  }

  private choice(): Expression {
    if (++this.depth > MOST_DEPTH) throw new ExpressionFault(`nests deeper than ${MOST_DEPTH}`);
    const condition = this.binary(0);
    const { at } = this.peek();
    let expression = condition;
    if (this.take('?')) {
      const yes = this.binary(0);
      this.expect(':');
      expression = { kind: 'choice', condition, yes, no: this.choice(), at };
    }
    this.depth--;
    return expression;
  }

  private binary(level: number): Expression {
    const operators = LEVELS[level];
    if (!operators) return this.unary();
    let left = this.binary(level + 1);
    for (;;) {
      const { text, at, kind } = this.peek();
      const operator = kind === 'text' ? undefined : operators.find((candidate) => candidate === text);
      if (!operator) return left;
      this.next++;
      left = { kind: 'binary', operator, left, right: this.binary(level + 1), at };
    }
  }

  private unary(): Expression {
    const { text, at, kind } = this.peek();
    if (kind !== 'sign' || (text !== '!' && text !== '-')) return this.member();
    if (++this.depth > MOST_DEPTH) throw new ExpressionFault(`nests deeper than ${MOST_DEPTH}`);
    this.next++;
    const operand = this.unary();
    this.depth--;
    return { kind: 'unary', operator: text, operand, at };
  }

  private member(): Expression {
    let target = this.primary();
    while (this.take('.')) {
      const { text, kind, at } = this.peek();
      if (kind !== 'word') this.unexpected('a name');
      this.next++;
      if (this.take('(')) {
        const name = METHODS.find((candidate) => candidate === text);
        if (!name)
          throw new ExpressionFault(`column ${at}: has no function ${text}; write one of ${METHODS.join(', ')}`);
        const args = this.listUntil(')');
        this.arity(name, args, name === 'size' ? 0 : 1, at);
        target = { kind: 'call', name, args: [target, ...args], at };
      } else if (target.kind === 'field') {
        target = { ...target, path: [...target.path, text] };
      } else {
        throw new ExpressionFault(`column ${at}: only a field has fields`);
      }
    }
    return target;
  }

  private primary(): Expression {
    const { kind, text, at } = this.peek();
    this.next++;
    if (kind === 'number') return { kind: 'literal', value: Number(text) };
    if (kind === 'text') return { kind: 'literal', value: unquote(text, at) };
    if (kind === 'sign' && text === '(') {
      const inner = this.choice();
      this.expect(')');
      return inner;
    }
    if (kind === 'sign' && text === '[') return { kind: 'list', items: this.listUntil(']') };
    if (kind !== 'word') {
      this.next--;
      this.unexpected('a value or a field');
    }
    if (text === 'true' || text === 'false') return { kind: 'literal', value: text === 'true' };
    if (text === 'null') return { kind: 'literal', value: null };
    if (text === 'in') throw new ExpressionFault(`column ${at}: "in" stands between a value and a list`);
    if (!this.take('(')) return { kind: 'field', path: [text], at };
    if (text !== 'has' && text !== 'size') {
      throw new ExpressionFault(`column ${at}: has no function ${text}; write has or size`);
    }
    const args = this.listUntil(')');
    this.arity(text, args, 1, at);
    if (text === 'has' && args[0]?.kind !== 'field') throw new ExpressionFault(`column ${at}: has takes a field`);
    return { kind: 'call', name: text, args, at };
  }

  private listUntil(close: ')' | ']'): Expression[] {
    const items: Expression[] = [];
    if (this.take(close)) return items;
    do items.push(this.choice());
    while (this.take(','));
    this.expect(close);
    return items;
  }

  private arity(name: string, args: readonly Expression[], expected: number, at: number): void {
    if (args.length === expected) return;
    throw new ExpressionFault(
      `column ${at}: ${name} takes ${expected} value${expected === 1 ? '' : 's'}, got ${args.length}`,
    );
  }

  private peek(): Token {
    return this.tokens[this.next]!;
  }

  private take(sign: string): boolean {
    const { kind, text } = this.peek();
    if (kind !== 'sign' || text !== sign) return false;
    this.next++;
    return true;
  }

  private expect(sign: string): void {
    if (!this.take(sign)) this.unexpected(`"${sign}"`);
  }

  private unexpected(expected: string): never {
    const { at, text } = this.peek();
    throw new ExpressionFault(`column ${at}: expected ${expected}, got ${text}`);
  }
}

function unquote(text: string, at: number): string {
  const inner = text.slice(1, -1);
  return inner.replace(/\\(u[0-9A-Fa-f]{4}|[^])/g, (_, escape: string) => {
    if (escape.length === 5) return String.fromCharCode(parseInt(escape.slice(1), 16));
    const plain = { n: '\n', t: '\t', r: '\r', '\\': '\\', '"': '"', "'": "'" }[escape];
    if (plain === undefined) throw new ExpressionFault(`column ${at}: has no escape \\${escape}`);
    return plain;
  });
}
