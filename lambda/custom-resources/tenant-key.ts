import { hashKey } from '../security/key-hash';
import type { CustomResourceEvent, CustomResourceResult } from './protocol';

/** Properties of the resource that lets one API key in. */
export interface TenantKeyProperties {
  readonly TableName: string;
  /** Id of the key in API Gateway, which is no secret. */
  readonly KeyId: string;
  readonly Tenant: string;
  readonly Plan: string;
}

/** An item of the authorizer's table. */
export interface TenantKeyItem {
  readonly keyHash: string;
  readonly tenant: string;
  readonly plan: string;
  readonly keyId: string;
}

/** What the resource needs from outside. */
export interface TenantKeyPorts {
  /** The key itself, which leaves this function as a hash only. */
  readonly readKey: (keyId: string) => Promise<string>;
  readonly putItem: (tableName: string, item: TenantKeyItem) => Promise<void>;
  readonly deleteItem: (tableName: string, keyHash: string) => Promise<void>;
}

/**
 * Keeps the item of a tenant's key. The resource's id is `<key id>:<hash>`: the key may be gone when the item is to be
 * deleted. A replaced key gets a new id, and CloudFormation deletes the old one afterwards.
 */
export async function tenantKey(
  event: CustomResourceEvent<TenantKeyProperties>,
  ports: TenantKeyPorts,
): Promise<CustomResourceResult> {
  const { TableName, KeyId, Tenant, Plan } = event.ResourceProperties;
  if (event.RequestType === 'Delete') {
    const physicalId = event.PhysicalResourceId ?? '';
    const keyHash = physicalId.split(':')[1];
    if (keyHash) await ports.deleteItem(TableName, keyHash);
    return { physicalId };
  }
  const keyHash = hashKey(await ports.readKey(KeyId));
  await ports.putItem(TableName, { keyHash, tenant: Tenant, plan: Plan, keyId: KeyId });
  return { physicalId: `${KeyId}:${keyHash}` };
}
