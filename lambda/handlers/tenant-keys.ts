import { APIGatewayClient, GetApiKeyCommand } from '@aws-sdk/client-api-gateway';
import { DeleteItemCommand, DynamoDBClient, PutItemCommand } from '@aws-sdk/client-dynamodb';
import { answerCloudFormation, type CustomResourceEvent, putAnswer } from '../custom-resources/protocol';
import { tenantKey, type TenantKeyPorts, type TenantKeyProperties } from '../custom-resources/tenant-key';

const apiGateway = new APIGatewayClient({});
const table = new DynamoDBClient({});

const ports: TenantKeyPorts = {
  readKey: async (keyId) => {
    const { value } = await apiGateway.send(new GetApiKeyCommand({ apiKey: keyId, includeValue: true }));
    if (!value) throw new Error(`API Gateway gave no value for the key ${keyId}`);
    return value;
  },
  putItem: async (tableName, item) => {
    const { keyHash, tenant, plan, keyId } = item;
    await table.send(
      new PutItemCommand({
        TableName: tableName,
        Item: { keyHash: { S: keyHash }, tenant: { S: tenant }, plan: { S: plan }, keyId: { S: keyId } },
      }),
    );
  },
  deleteItem: async (tableName, keyHash) => {
    await table.send(new DeleteItemCommand({ TableName: tableName, Key: { keyHash: { S: keyHash } } }));
  },
};

/** Entry point of the custom resource that enters a tenant's key into the authorizer's table. */
export function handler(event: CustomResourceEvent<TenantKeyProperties>): Promise<void> {
  return answerCloudFormation(event, (asked) => tenantKey(asked, ports), putAnswer);
}
