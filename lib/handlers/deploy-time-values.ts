import { Token } from 'aws-cdk-lib';
import type { InferencePolicy, TokenIssuer } from '../policy/policy';

/** The policy without what only a deployment knows: it is written to a file at synth. */
export function withoutDeployTimeValues(policy: InferencePolicy): object {
  const backends = policy.backends.map(({ bedrock, ...backend }) => ({
    ...known(backend, ['url']),
    ...(bedrock && { bedrock: known(bedrock, ['modelId', 'region']) }),
  }));
  const issuers = policy.issuers?.filter((issuer) => !isDeployTimeIssuer(issuer));
  return { ...policy, backends, ...(issuers && { issuers }) };
}

/** Whether anything of an issuer is known only at deployment, such as the address of a user pool of the same app. */
export function isDeployTimeIssuer(issuer: TokenIssuer): boolean {
  return Object.values(issuer).some((value) => Token.isUnresolved(value));
}

/** An object without those of its fields that are tokens. */
function known<T extends object>(value: T, fields: readonly (keyof T)[]): Partial<T> {
  const tokens = fields.filter((field) => Token.isUnresolved(value[field]));
  return Object.fromEntries(
    Object.entries(value).filter(([field]) => !tokens.includes(field as keyof T)),
  ) as Partial<T>;
}
