import { DynamoDBClient, GetItemCommand, ScanCommand } from '@aws-sdk/client-dynamodb';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { startEmbeddedTable } from '../../bin/start/embedded-table';
import type { HttpListener } from '../../bin/start/http-listener';

describe('embedded table', () => {
  let table: HttpListener;
  let client: DynamoDBClient;

  beforeAll(async () => {
    table = await startEmbeddedTable([{ keyHash: 'abc', tenant: 'acme', plan: 'standard' }]);
    client = new DynamoDBClient({
      endpoint: table.url,
      region: 'us-east-1',
      credentials: { accessKeyId: 'local', secretAccessKey: 'local' },
      maxAttempts: 1,
    });
  });

  afterAll(async () => {
    client.destroy();
    await table.close();
  });

  const get = (keyHash: string) =>
    client.send(new GetItemCommand({ TableName: 't', Key: { keyHash: { S: keyHash } } }));

  it('finds a tenant by the hash of its key, for the AWS SDK', async () => {
    expect((await get('abc')).Item).toEqual({ keyHash: { S: 'abc' }, tenant: { S: 'acme' }, plan: { S: 'standard' } });
  });

  it('finds nobody for another hash', async () => {
    expect((await get('abd')).Item).toBeUndefined();
  });

  it('refuses every other operation', async () => {
    await expect(client.send(new ScanCommand({ TableName: 't' }))).rejects.toThrow('Scan is not served here');
  });
});
