import { Stack, Token } from 'aws-cdk-lib';
import type { IConstruct } from 'constructs';
import type { BedrockModel } from '../policy/backend';
import type { InferencePolicy } from '../policy/policy';
import type { IModelEndpoint } from './interfaces';

/** Lambda's quota for the environment of a function. */
const ENVIRONMENT_QUOTA_BYTES = 4096;

/** Typical lengths of what tokens stand for, and of what every function has besides. */
const ADDRESS_BYTES = 80;
const CERTIFICATE_BYTES = 800;
const OTHER_BYTES = 600;

/** Where a backend is. */
interface Address {
  readonly url: string;
  readonly serverName?: string;
}

/**
 * What functions find in their environment of backends: what is known at deployment only, and the certificates to trust.
 *
 * @param own what else a function has there; it must fit into the quota together with this
 */
export function backendEnvironment(
  scope: IConstruct,
  policy: InferencePolicy,
  endpoints: Record<string, IModelEndpoint>,
  own: Record<string, string>,
): Record<string, string> {
  const addresses = deployTimeAddresses(policy, endpoints);
  const bedrockModels = deployTimeModels(policy);
  const certificates = [...new Set(Object.values(endpoints).flatMap(({ certificate }) => certificate ?? []))];
  validateSize({ ...addresses, ...bedrockModels }, certificates, own);
  const stack = Stack.of(scope);
  return {
    ...(Object.keys(addresses).length > 0 && { BACKENDS: stack.toJsonString(addresses) }),
    ...(Object.keys(bedrockModels).length > 0 && { BEDROCK_MODELS: stack.toJsonString(bedrockModels) }),
    ...(certificates.length > 0 && { TRUSTED_CERTIFICATES: certificates.join('\n') }),
  };
}

/** The addresses that are known at deployment only: those of endpoints, and urls that are tokens. */
function deployTimeAddresses(
  policy: InferencePolicy,
  endpoints: Record<string, IModelEndpoint>,
): Record<string, Address> {
  const addresses: Record<string, Address> = {};
  for (const { name, url } of policy.backends) {
    const endpoint = endpoints[name];
    if (endpoint) addresses[name] = { url: endpoint.url, serverName: endpoint.serverName };
    else if (url !== undefined && Token.isUnresolved(url)) addresses[name] = { url };
  }
  return addresses;
}

/** What is known of models of Bedrock at deployment only: ids and regions that are tokens. */
function deployTimeModels(policy: InferencePolicy): Record<string, Partial<BedrockModel>> {
  const models: Record<string, Partial<BedrockModel>> = {};
  for (const { name, bedrock } of policy.backends) {
    if (!bedrock) continue;
    const { modelId, region } = bedrock;
    const tokens = {
      ...(Token.isUnresolved(modelId) && { modelId }),
      ...(region !== undefined && Token.isUnresolved(region) && { region }),
    };
    if (Object.keys(tokens).length > 0) models[name] = tokens;
  }
  return models;
}

/** Tokens count with a typical length of what they stand for, so that the quota is hit here and not at deployment. */
function validateSize(
  deployed: Record<string, object>,
  certificates: readonly string[],
  own: Record<string, string>,
): void {
  const text = JSON.stringify([deployed, own]).replaceAll(/\$\{Token\[[^\]]+\]\}/g, 'x'.repeat(ADDRESS_BYTES));
  const bytes = text.length + certificates.length * CERTIFICATE_BYTES + OTHER_BYTES;
  if (bytes > ENVIRONMENT_QUOTA_BYTES) {
    throw new Error(
      `backends whose address or model is known at deployment only must fit into ${ENVIRONMENT_QUOTA_BYTES} bytes of environment, ` +
        `got about ${bytes}: give some a url in the policy, or their modelId as text`,
    );
  }
}
