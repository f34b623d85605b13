import { readFileSync } from 'node:fs';
import { DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { resolvePolicy } from '../../lib/policy/defaults';
import type { InferencePolicy, TokenIssuer } from '../../lib/policy/policy';
import { lineWriter } from '../observability/line-writer';
import { refusalLine } from '../observability/refusal-line';
import { authorize, type AuthorizerAnswer, isUnauthorized, type TokenAuthorizerEvent } from '../security/authorize';
import { requiredVariable } from '../security/environment';
import { fetchJson } from '../security/fetch-json';
import { tokenVerifier, type VerifyToken } from '../security/verify-token';
import { tenantKeyTable } from '../store/tenant-key-table';

/** A client waits for this look-up, so it fails early: a retry on a new connection answers sooner than a slow one. */
const client = new DynamoDBClient({
  maxAttempts: 2,
  requestHandler: { connectionTimeout: 500, requestTimeout: 1000, throwOnRequestTimeout: true },
});
const findKeyOwner = tenantKeyTable(client, requiredVariable(process.env, 'TABLE_NAME'));

const { USAGE_KEY_PREFIX: usageKeyPrefix, METRICS_NAMESPACE: namespace, SERVICE_NAME: service } = process.env;
const names = { namespace: namespace ?? 'InferencePlatform', service: service ?? 'inference' };
const writeLine = lineWriter(process.stdout);
const verifyToken = usageKeyPrefix ? trustedIssuers(usageKeyPrefix) : undefined;

/** Entry point of the API's authorizer. */
export async function handler(event: TokenAuthorizerEvent): Promise<AuthorizerAnswer> {
  const at = Date.now();
  try {
    return await authorize(event, findKeyOwner, verifyToken);
  } catch (error) {
    if (isUnauthorized(error)) writeLine(refusalLine(at, names));
    throw error;
  }
}

/** The issuers are those of the policy, and those of the environment whose addresses only the deployment knew. */
function trustedIssuers(prefix: string): VerifyToken {
  const { POLICY_FILE: policyFile = '/opt/policy.json', TOKEN_ISSUERS: ownIssuers = '[]' } = process.env;
  const policy = JSON.parse(readFileSync(policyFile, 'utf8')) as InferencePolicy;
  const deployed = JSON.parse(ownIssuers) as TokenIssuer[];
  const { issuers, tenants } = resolvePolicy({ ...policy, issuers: [...(policy.issuers ?? []), ...deployed] });
  return tokenVerifier(
    { issuers, tenants, usageKeyPrefix: prefix },
    {
      fetchJson: fetchJson(fetch),
      now: Date.now,
      onRefused: (reason) => {
        writeLine(JSON.stringify({ level: 'warn', message: 'token refused', reason }));
      },
    },
  );
}
