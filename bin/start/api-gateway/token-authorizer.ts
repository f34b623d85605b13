import type { AuthorizerDefinition } from './api-definition';
import { GatewayError } from './gateway-response';

/** What API Gateway knows of a caller once its authorizer has answered. */
export interface Caller {
  readonly principalId: string;
  /** Key of the usage plan. */
  readonly usageIdentifierKey?: string;
  /** Handed to the handler, every value as text. */
  readonly context: Readonly<Record<string, string>>;
}

interface AuthorizerAnswer {
  readonly principalId?: string;
  readonly policyDocument?: { readonly Statement?: readonly PolicyStatement[] };
  readonly usageIdentifierKey?: string;
  readonly context?: Readonly<Record<string, string | number | boolean>>;
}

interface PolicyStatement {
  readonly Effect: string;
  readonly Action: string | readonly string[];
  readonly Resource: string | readonly string[];
}

const INVOKE = 'execute-api:Invoke';

/** Asks the authorizer's function who calls, and remembers its answers for as long as the template says. */
export class TokenAuthorizer {
  private readonly answers = new Map<string, { readonly answer: AuthorizerAnswer; readonly until: number }>();

  /**
   * @param invoke calls the authorizer's function
   * @param now the time in milliseconds
   */
  public constructor(
    private readonly definition: AuthorizerDefinition,
    private readonly invoke: (event: unknown) => Promise<unknown>,
    private readonly now: () => number,
  ) {}

  /**
   * Who calls a method.
   *
   * @throws GatewayError for a caller who is unknown (401) or may not call this (403), and where the function fails
   */
  public async authorize(token: string | undefined, methodArn: string): Promise<Caller> {
    const { pattern } = this.definition;
    if (!token || (pattern && !pattern.test(token))) throw new GatewayError('UNAUTHORIZED');
    const answer = await this.answerFor(token, methodArn);
    const statements = answer.policyDocument?.Statement;
    if (!statements || !answer.principalId) throw new GatewayError('AUTHORIZER_CONFIGURATION_ERROR');
    if (!allows(statements, methodArn)) throw new GatewayError('ACCESS_DENIED');
    return {
      principalId: answer.principalId,
      usageIdentifierKey: answer.usageIdentifierKey,
      context: Object.fromEntries(Object.entries(answer.context ?? {}).map(([name, value]) => [name, String(value)])),
    };
  }

  private async answerFor(token: string, methodArn: string): Promise<AuthorizerAnswer> {
    const known = this.answers.get(token);
    if (known && known.until > this.now()) return known.answer;
    const answer = await this.ask(token, methodArn);
    this.answers.set(token, { answer, until: this.now() + this.definition.cacheSeconds * 1000 });
    return answer;
  }

  private async ask(token: string, methodArn: string): Promise<AuthorizerAnswer> {
    try {
      return (await this.invoke({ type: 'TOKEN', authorizationToken: token, methodArn })) as AuthorizerAnswer;
    } catch (error) {
      // The word by which a function says 401; anything else it throws is a failure of its own.
      if ((error as Error).message === 'Unauthorized') throw new GatewayError('UNAUTHORIZED');
      throw new GatewayError('AUTHORIZER_FAILURE');
    }
  }
}

/** Whether a policy lets a method be called: some statement allows it, and none denies it. */
function allows(statements: readonly PolicyStatement[], methodArn: string): boolean {
  const matching = statements.filter(
    ({ Action, Resource }) =>
      [Action].flat().some((a) => matches(a, INVOKE)) && [Resource].flat().some((r) => matches(r, methodArn)),
  );
  return matching.some(({ Effect }) => Effect === 'Allow') && !matching.some(({ Effect }) => Effect === 'Deny');
}

function matches(pattern: string, value: string): boolean {
  const parts = pattern.split(/([*?])/).map((part) => {
    if (part === '*') return '.*';
    return part === '?' ? '.' : part.replace(/[\\^$.|+()[\]{}]/g, '\\$&');
  });
  return new RegExp(`^${parts.join('')}$`, 'i').test(value);
}
