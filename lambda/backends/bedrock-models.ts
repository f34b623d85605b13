import type { ResolvedBackend } from '../../lib/policy/defaults';
import { type Environment, requiredVariable } from '../security/environment';
import type { BackendAddress } from './http-backends';

/** A model of Bedrock, and where it is called. */
export interface BedrockTarget {
  readonly modelId: string;
  readonly region: string;
  readonly api: NonNullable<ResolvedBackend['bedrock']>['api'];
  /** Address of Bedrock's run time in that region. */
  readonly origin: string;
}

/**
 * The backends that are models of Bedrock, by name. `BEDROCK_MODELS` says what of them is known since the deployment.
 * A backend with an address in `BACKENDS` speaks the OpenAI protocol there and is none of them.
 * `AWS_ENDPOINT_URL_BEDROCK_RUNTIME` takes the place of the service's address, as it does for AWS's own clients.
 *
 * @throws where a model is left without an id or a region
 */
export function bedrockTargets(
  environment: Environment,
  backends: readonly ResolvedBackend[],
): Record<string, BedrockTarget> {
  const addresses = JSON.parse(environment.BACKENDS ?? '{}') as Record<string, unknown>;
  const deployed = JSON.parse(environment.BEDROCK_MODELS ?? '{}') as Record<string, Partial<BedrockTarget>>;
  const targets = backends.flatMap(({ name, bedrock }): [string, BedrockTarget][] => {
    if (!bedrock || addresses[name] !== undefined) return [];
    const { api, modelId, region } = { ...bedrock, ...deployed[name] };
    if (!modelId) throw new Error(`the backend ${name} has no modelId, neither in the policy nor in BEDROCK_MODELS`);
    const where = region ?? requiredVariable(environment, 'AWS_REGION');
    return [[name, { modelId, api, region: where, origin: originOf(environment, where) }]];
  });
  return Object.fromEntries(targets);
}

/** Where their calls go. */
export function addressesOf(targets: Readonly<Record<string, BedrockTarget>>): Record<string, BackendAddress> {
  return Object.fromEntries(Object.entries(targets).map(([name, { origin }]) => [name, { url: origin }]));
}

function originOf(environment: Environment, region: string): string {
  const partition = region.startsWith('cn-') ? 'amazonaws.com.cn' : 'amazonaws.com';
  return environment.AWS_ENDPOINT_URL_BEDROCK_RUNTIME ?? `https://bedrock-runtime.${region}.${partition}`;
}
