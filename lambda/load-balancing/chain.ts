import { isFleet } from '../../lib/policy/fleet-backends';
import type { ResolvedBackend, ResolvedModel } from '../../lib/policy/defaults';

/** A backend of a model's chain, and how it takes part in it. */
export interface ChainLink {
  readonly backend: ResolvedBackend;
  /** Its share of the load; 0 for one that takes what the others cannot. */
  readonly share: number;
  /** Whether its tokens in progress are counted. */
  readonly counted: boolean;
  /** Whether it lets in what its instances carry, where the scaling signal says how much that is. */
  readonly hasRoom: boolean;
}

/** The chain of a model: its backends with what the policy says of each. */
export function chainOf(model: ResolvedModel, backends: readonly ResolvedBackend[]): readonly ChainLink[] {
  return model.backends.flatMap((name): ChainLink[] => {
    const backend = backends.find((candidate) => candidate.name === name);
    if (!backend) return [];
    const share = model.weights?.[name] ?? 0;
    // The platform's own fleets are scaled by what they have in progress.
    const counted = share > 0 || backend.capacityTokens !== undefined || isFleet(backend);
    return [{ backend, share, counted, hasRoom: backend.capacityTokens === undefined && isFleet(backend) }];
  });
}
