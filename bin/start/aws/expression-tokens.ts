import { ServiceError } from './service-error';

/** A piece of an expression. */
export interface Token {
  readonly kind: 'name' | 'value' | 'word' | 'sign';
  /** Words that mean something are in upper case. */
  readonly text: string;
}

const PATTERN = /\s*(?:(#[\w-]+)|(:[\w-]+)|([A-Za-z_][\w-]*)|(<>|<=|>=|[=<>(),+-]))/y;

/**
 * Cuts an expression into its pieces.
 *
 * @throws ServiceError where it has something that a local run does not know, such as a path into a map
 */
export function tokensOf(expression: string): Token[] {
  const tokens: Token[] = [];
  const text = expression.trimEnd();
  PATTERN.lastIndex = 0;
  while (PATTERN.lastIndex < text.length) {
    const at = PATTERN.lastIndex;
    const match = PATTERN.exec(text);
    if (!match) throw invalid(`a local run cannot read "${text.slice(at)}" of the expression "${expression}"`);
    const [, name, value, word, sign] = match;
    if (name !== undefined) tokens.push({ kind: 'name', text: name });
    else if (value !== undefined) tokens.push({ kind: 'value', text: value });
    else if (word !== undefined) tokens.push({ kind: 'word', text: word });
    else tokens.push({ kind: 'sign', text: sign ?? '' });
  }
  return tokens;
}

/** The refusal of a call that is wrong in itself. */
export function invalid(message: string): ServiceError {
  return new ServiceError('ValidationException', message);
}
