import { repeatsVersion } from '../../lib/policy/fleet-backends';
import { type InferencePolicy, ModelKind } from '../../lib/policy';
import { UserError } from '../user-error';
import { DEMONSTRATION_PACE, startModelStub } from './model-stub';

/** What serves a backend of the policy in a local run. */
export interface LocalBackend {
  readonly name: string;
  readonly url: string;
  readonly isStub: boolean;
}

/** What serves all backends. */
export interface LocalBackends {
  readonly list: readonly LocalBackend[];
  /** Stops the stubs. */
  close(): Promise<void>;
}

/**
 * Finds what serves each backend: the address that the user gave, else the policy's own, else a stub.
 *
 * @param given addresses by backend name
 * @param answered backends that functions of the platform answer: they are left out
 * @throws UserError for an address whose backend the policy does not have
 */
export async function serveBackends(
  policy: InferencePolicy,
  given: Readonly<Record<string, string>>,
  answered: readonly string[] = [],
): Promise<LocalBackends> {
  const names = policy.backends.map((backend) => backend.name);
  const unknown = Object.keys(given).find((name) => !names.includes(name));
  if (unknown !== undefined) {
    throw new UserError(`--backend ${unknown}: the policy has no such backend, only ${names.join(', ')}`);
  }
  for (const [name, address] of Object.entries(given)) {
    if (repeatsVersion(address, policy.backends.find((each) => each.name === name)?.path)) {
      throw new UserError(`--backend ${name}=${address}: leave /v1 out, which each call begins with`);
    }
  }
  const stubs: { close(): Promise<void> }[] = [];
  const served = policy.backends.filter(({ name }) => !answered.includes(name));
  const list = await Promise.all(
    served.map(async ({ name, url, path }) => {
      const address = given[name] ?? url;
      if (address !== undefined) return { name, url: address, isStub: false };
      const stub = await startModelStub({
        name,
        pace: DEMONSTRATION_PACE,
        ...(path !== undefined && { only: { path, kind: kindOf(policy, name) } }),
      });
      stubs.push(stub);
      return { name, url: stub.url, isStub: true };
    }),
  );
  return { list, close: async () => void (await Promise.all(stubs.map((stub) => stub.close()))) };
}

/** What the models that a backend serves do; where they differ, the first says it. */
function kindOf(policy: InferencePolicy, backend: string): ModelKind {
  return policy.models.find(({ backends }) => backends.includes(backend))?.kind ?? ModelKind.CHAT;
}
