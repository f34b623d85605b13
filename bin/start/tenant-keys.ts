import { createHash } from 'node:crypto';
import { referenceIn, resourcesOf, type Template } from './template';

/** One row of the platform's table of keys. */
export interface KeyRow {
  readonly keyHash: string;
  readonly tenant: string;
  readonly plan: string;
}

/** What a deployment makes of the template's registrations of keys, made here with keys of the local run. */
export interface TenantKeys {
  /** The rows of the authorizer's table. */
  readonly rows: readonly KeyRow[];
  /** The logical id of the API key that stands for each key's value; those whose value the template gives are among them. */
  readonly keyIds: ReadonlyMap<string, string>;
}

/**
 * Registers the tenants' keys, as the template's custom resources do at deployment: the table gets hashes only.
 *
 * @param keys keys by tenant
 */
export function registerTenantKeys(template: Template, keys: ReadonlyMap<string, readonly string[]>): TenantKeys {
  const registered = resourcesOf(template, 'Custom::TenantKey').flatMap(([, { Tenant, Plan, KeyId }]) =>
    (keys.get(String(Tenant)) ?? []).map((key) => ({
      key,
      keyId: referenceIn(KeyId) ?? '',
      row: {
        keyHash: createHash('sha256').update(key).digest('hex'),
        tenant: String(Tenant),
        plan: String(Plan),
      },
    })),
  );
  return {
    rows: registered.map(({ row }) => row),
    keyIds: new Map([...usageKeys(template), ...registered.map(({ key, keyId }) => [key, keyId] as const)]),
  };
}

/** Keys that open nothing, by which the requests of tokens are counted. */
function usageKeys(template: Template): [value: string, keyId: string][] {
  return resourcesOf(template, 'AWS::ApiGateway::ApiKey').flatMap(([id, { Value }]) =>
    typeof Value === 'string' ? [[Value, id]] : [],
  );
}
