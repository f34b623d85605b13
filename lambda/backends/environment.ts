import type { ResolvedBackend } from '../../lib/policy/defaults';
import type { Environment } from '../security/environment';
import type { BackendAddress } from './http-backends';

/**
 * Where each backend is: the policy's address, or what `BACKENDS` says, which knows the addresses that exist since the
 * deployment. A backend without any stays unknown; calls to it fail and its model's chain goes on.
 *
 * Addresses with a `serverName` of their own are endpoints inside the network: trusted for them are the certificates in
 * `TRUSTED_CERTIFICATES` (PEM), if there are any. They do not stand within `BACKENDS`, since a deployment could not put
 * their line ends into JSON.
 */
export function backendAddresses(
  environment: Environment,
  backends: readonly ResolvedBackend[],
): Record<string, BackendAddress> {
  const given = JSON.parse(environment.BACKENDS ?? '{}') as Record<string, BackendAddress>;
  const ca = environment.TRUSTED_CERTIFICATES;
  const addresses = backends.flatMap(({ name, url }): [string, BackendAddress][] => {
    const address = given[name] ?? (url === undefined ? undefined : { url });
    if (address === undefined) return [];
    return [[name, ca !== undefined && address.serverName !== undefined ? { ca, ...address } : address]];
  });
  return Object.fromEntries(addresses);
}
