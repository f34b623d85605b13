import { type DynamoDBClient, GetItemCommand } from '@aws-sdk/client-dynamodb';
import type { FindKeyOwner } from '../security/authorize';

/** Looks up keys in the table of their hashes. */
export function tenantKeyTable(client: DynamoDBClient, tableName: string): FindKeyOwner {
  return async (keyHash) => {
    const { Item: item } = await client.send(
      new GetItemCommand({
        TableName: tableName,
        Key: { keyHash: { S: keyHash } },
        // Keys change rarely, API Gateway caches the answer for minutes anyway, and this read costs half.
        ConsistentRead: false,
        ProjectionExpression: 'tenant, #plan',
        ExpressionAttributeNames: { '#plan': 'plan' },
      }),
    );
    if (!item) return undefined;
    const [tenant, plan] = [item.tenant?.S, item.plan?.S];
    if (!tenant || !plan) throw new Error(`the key table's item lacks ${tenant ? 'plan' : 'tenant'}`);
    return { tenant, plan };
  };
}
