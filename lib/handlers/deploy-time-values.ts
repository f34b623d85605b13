import { Token } from 'aws-cdk-lib';
import type { InferencePolicy, TokenIssuer } from '../policy/policy';

/** The policy without what only a deployment knows: it is written to a file at synth. */
export function withoutDeployTimeValues(policy: InferencePolicy): InferencePolicy {
  const backends = policy.backends.map(({ url, ...backend }) =>
    url === undefined || Token.isUnresolved(url) ? backend : { ...backend, url },
  );
  const issuers = policy.issuers?.filter((issuer) => !isDeployTimeIssuer(issuer));
  return { ...policy, backends, ...(issuers && { issuers }) };
}

/** Whether anything of an issuer is known only at deployment, such as the address of a user pool of the same app. */
export function isDeployTimeIssuer(issuer: TokenIssuer): boolean {
  return Object.values(issuer).some((value) => Token.isUnresolved(value));
}
