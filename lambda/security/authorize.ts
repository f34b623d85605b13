import { hashKey } from './key-hash';

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
  readonly context: { readonly tenant: string; readonly plan: string };
  readonly usageIdentifierKey: string;
}

/** API Gateway answers 401 to exactly this message, and 500 to any other. */
const UNAUTHORIZED = 'Unauthorized';

/** API Gateway's keys have at most 128 characters; anything longer is not looked up. */
const BEARER = /^Bearer +(\S{8,128})$/i;

/**
 * Lets the owner of a Bearer key in.
 *
 * @throws `Unauthorized` for a key that is malformed or unknown; the finder's own error where it fails: never access
 */
export async function authorize(event: TokenAuthorizerEvent, findKeyOwner: FindKeyOwner): Promise<AuthorizerAnswer> {
  const key = BEARER.exec(event.authorizationToken ?? '')?.[1];
  if (!key) throw new Error(UNAUTHORIZED);
  const owner = await findKeyOwner(hashKey(key));
  if (!owner) throw new Error(UNAUTHORIZED);
  return {
    principalId: owner.tenant,
    policyDocument: {
      Version: '2012-10-17',
      Statement: [{ Action: 'execute-api:Invoke', Effect: 'Allow', Resource: wholeStage(event.methodArn) }],
    },
    context: { tenant: owner.tenant, plan: owner.plan },
    usageIdentifierKey: key,
  };
}

/** The answer is cached by key and serves every method, so it must not name the one that happened to come first. */
function wholeStage(methodArn: string): string {
  const [api, stage] = methodArn.split('/');
  return `${api}/${stage}/*`;
}
