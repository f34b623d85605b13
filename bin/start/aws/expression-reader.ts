import type { AttributeValue, Attributes } from '../../../lambda/aws/attribute-value';
import { invalid, type Token, tokensOf } from './expression-tokens';

/** What the place-holders of a call's expressions stand for. */
export class PlaceHolders {
  private readonly used = new Set<string>();

  public constructor(
    private readonly names: Readonly<Record<string, string>> = {},
    private readonly values: Attributes = {},
  ) {}

  public name(text: string): string {
    this.used.add(text);
    return this.names[text] ?? refuse(`the expression uses ${text}, which ExpressionAttributeNames lacks`);
  }

  public value(text: string): AttributeValue {
    this.used.add(text);
    return this.values[text] ?? refuse(`the expression uses ${text}, which ExpressionAttributeValues lacks`);
  }

  /** @throws ServiceError where one is given and no expression uses it, as DynamoDB does */
  public seeThatAllAreUsed(): void {
    const unused = [...Object.keys(this.names), ...Object.keys(this.values)].filter((name) => !this.used.has(name));
    if (unused.length > 0) throw invalid(`unused in expressions: ${unused.join(', ')}`);
  }
}

/** Reads an expression from the left to the right. */
export class ExpressionReader {
  private readonly tokens: readonly Token[];
  private at = 0;

  public constructor(
    private readonly expression: string,
    private readonly holders: PlaceHolders,
  ) {
    this.tokens = tokensOf(expression);
  }

  public get isAtEnd(): boolean {
    return this.at === this.tokens.length;
  }

  /** Takes the next piece if it is that sign or word. */
  public takes(text: string): boolean {
    if (!this.isNext(text)) return false;
    this.at += 1;
    return true;
  }

  public isNext(text: string): boolean {
    const token = this.tokens[this.at];
    if (token?.kind === 'sign') return token.text === text;
    return token?.kind === 'word' && token.text.toUpperCase() === text;
  }

  public expect(text: string): void {
    if (!this.takes(text)) throw this.unexpected(text);
  }

  public expectEnd(): void {
    if (!this.isAtEnd) throw this.unexpected('its end');
  }

  /** Takes the name of a function, which a bracket follows. */
  public functionName(): string | undefined {
    const [token, next] = [this.tokens[this.at], this.tokens[this.at + 1]];
    if (token?.kind !== 'word' || next?.text !== '(') return undefined;
    this.at += 2;
    return token.text;
  }

  public isValueNext(): boolean {
    return this.tokens[this.at]?.kind === 'value';
  }

  /** Takes the name of an attribute. */
  public name(): string {
    const token = this.tokens[this.at];
    if (token?.kind !== 'name' && token?.kind !== 'word') throw this.unexpected('a name');
    this.at += 1;
    return token.kind === 'name' ? this.holders.name(token.text) : token.text;
  }

  public value(): AttributeValue {
    const token = this.tokens[this.at];
    if (token?.kind !== 'value') throw this.unexpected('a value');
    this.at += 1;
    return this.holders.value(token.text);
  }

  /** Takes what is read by `read`, once or more often, with commas between. */
  public list<T>(read: () => T): T[] {
    const items = [read()];
    while (this.takes(',')) items.push(read());
    return items;
  }

  public unexpected(wanted: string): Error {
    const found = this.tokens[this.at]?.text ?? 'the end';
    return invalid(`the expression "${this.expression}" has ${found} where ${wanted} is expected`);
  }
}

function refuse(message: string): never {
  throw invalid(message);
}
