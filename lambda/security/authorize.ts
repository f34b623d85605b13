import { hashKey } from './key-hash';
import type { VerifyToken } from './verify-token';

/** What API Gateway asks a TOKEN authorizer. */
export interface TokenAuthorizerEvent {
  readonly type: 'TOKEN';
  readonly authorizationToken?: string;
  readonly methodArn: string;
}

/** Who a key belongs to. */
export interface KeyOwner {
  readonly tenant: string;
  readonly plan: string;
}

/** Looks up the owner of a key by its hash; undefined for an unknown one, an error where the table cannot tell. */
export type FindKeyOwner = (keyHash: string) => Promise<KeyOwner | undefined>;

/** What API Gateway makes of the answer: access, the usage plan's key, and the context that the handler sees. */
export interface AuthorizerAnswer {
  readonly principalId: string;
  readonly policyDocument: {
    readonly Version: '2012-10-17';
    readonly Statement: readonly [{ readonly Action: string; readonly Effect: 'Allow'; readonly Resource: string }];
  };
  readonly context: AuthorizerContext;
  readonly usageIdentifierKey: string;
}

/** What the handler sees of the caller, all of it text. */
export interface AuthorizerContext {
  readonly tenant: string;
  readonly plan: string;
  /** When a token's access ends, in milliseconds since 1970: the answer may be remembered for longer. */
  readonly expiresAt?: string;
  /** Stands for who holds a token, in logs. */
  readonly principal?: string;
}

/** API Gateway answers 401 to exactly this message, and 500 to any other. */
const UNAUTHORIZED = 'Unauthorized';

/** Whether an error says that the caller was turned away, and not that the authorizer failed. */
export function isUnauthorized(error: unknown): boolean {
  return error instanceof Error && error.message === UNAUTHORIZED;
}

const BEARER = /^Bearer +(\S+)$/i;

/**
 * API Gateway's keys have at most 128 characters; anything longer is not looked up. A token is longer: its signature
 * alone takes 86, its header 20. So neither is ever mistaken for the other.
 */
const KEY = /^\S{8,128}$/;

/** A signed token (RFC 7515, section 7.1); API Gateway takes headers of 10 kB in all. */
const TOKEN = /^[\w-]+\.[\w-]+\.[\w-]+$/;
const MAX_TOKEN_LENGTH = 8192;

/**
 * Lets the owner of a Bearer key in, or of a token where issuers are trusted.
 *
 * @throws `Unauthorized` for a key or token that is malformed, unknown or refused; the finder's or verifier's own error
 * where it fails: never access
 */
export async function authorize(
  event: TokenAuthorizerEvent,
  findKeyOwner: FindKeyOwner,
  verifyToken?: VerifyToken,
): Promise<AuthorizerAnswer> {
  const credential = BEARER.exec(event.authorizationToken ?? '')?.[1] ?? '';
  if (KEY.test(credential)) {
    const owner = await findKeyOwner(hashKey(credential));
    if (owner) return access(event, { tenant: owner.tenant, plan: owner.plan }, credential);
  } else if (verifyToken && credential.length <= MAX_TOKEN_LENGTH && TOKEN.test(credential)) {
    const owner = await verifyToken(credential);
    if (owner) {
      const { tenant, plan, expiresAt, principal, usageKey } = owner;
      const context = { tenant, plan, expiresAt: String(expiresAt), ...(principal !== undefined && { principal }) };
      return access(event, context, usageKey);
    }
  }
  throw new Error(UNAUTHORIZED);
}

function access(event: TokenAuthorizerEvent, context: AuthorizerContext, usageKey: string): AuthorizerAnswer {
  return {
    principalId: context.tenant,
    policyDocument: {
      Version: '2012-10-17',
      Statement: [{ Action: 'execute-api:Invoke', Effect: 'Allow', Resource: wholeStage(event.methodArn) }],
    },
    context,
    usageIdentifierKey: usageKey,
  };
}

/** The answer is cached by key and serves every method, so it must not name the one that happened to come first. */
function wholeStage(methodArn: string): string {
  const [api, stage] = methodArn.split('/');
  return `${api}/${stage}/*`;
}
