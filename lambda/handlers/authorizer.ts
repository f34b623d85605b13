import { DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { authorize, type AuthorizerAnswer, type TokenAuthorizerEvent } from '../security/authorize';
import { tenantKeyTable } from '../store/tenant-key-table';
import { requiredVariable } from '../security/environment';

/** A client waits for this look-up, so it fails early: a retry on a new connection answers sooner than a slow one. */
const client = new DynamoDBClient({
  maxAttempts: 2,
  requestHandler: { connectionTimeout: 500, requestTimeout: 1000, throwOnRequestTimeout: true },
});
const findKeyOwner = tenantKeyTable(client, requiredVariable(process.env, 'TABLE_NAME'));

/** Entry point of the API's authorizer. */
export function handler(event: TokenAuthorizerEvent): Promise<AuthorizerAnswer> {
  return authorize(event, findKeyOwner);
}
