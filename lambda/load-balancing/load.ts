/**
 * What backends have in progress, in tokens, and what follows from it: which one a request goes to, and who may use a
 * backend that is short. Requests differ in size by a factor of thousands, so tokens are counted and not requests.
 * `load.lua` is the same law in the store, shared by all function instances.
 */

/** A backend's load as one tenant sees it. */
export interface Load {
  /** Tokens in progress, all tenants together. */
  readonly total: number;
  /** Weights of the plans of all tenants that have something in progress, summed. */
  readonly weights: number;
  /** Tokens in progress of the tenant. */
  readonly own: number;
}

/**
 * Whether a backend takes a request: while there is room, everyone's; when it is short, up to a tenant's share, which
 * stands to the capacity as its plan's weight to the weights of all tenants that are active there. The share is given
 * even though others have taken all of the capacity: they get nothing more until they are back at theirs, and the
 * backend carries at most twice its capacity until then.
 *
 * Background work asks with a weight of 0 and the part of the capacity that it may fill: it has no share, so a backend that
 * is short takes none of it, and its weight makes nobody else's share smaller.
 */
export function hasRoom(
  load: Load,
  request: { readonly tokens: number; readonly weight: number },
  capacityTokens: number,
): boolean {
  if (load.total === 0 || load.total + request.tokens <= capacityTokens) return true;
  const weights = load.weights + (load.own === 0 ? request.weight : 0);
  return load.own + request.tokens <= (capacityTokens * request.weight) / weights;
}

/**
 * Whose load a request counts as. A tenant's background work counts apart from its other requests, or it would use up the
 * share of them.
 */
export function loadTenantOf({ tenant, ceiling }: { readonly tenant: string; readonly ceiling?: number }): string {
  return ceiling === undefined ? tenant : `${tenant}:batch`;
}

/** A backend that may be chosen. */
export interface Candidate {
  /** Its share of the load; 0 for a fallback, which is used when no backend with a share is left. */
  readonly share: number;
  /** Tokens in progress. */
  readonly total: number;
  /** A random number above 0 up to 1. */
  readonly random: number;
}

/**
 * The order in which backends are tried, as indexes: those with a share by their tokens in progress for it, fewest
 * first, and of equals each as often as its share says (an exponential race); then the fallbacks as they stand.
 */
export function preferenceOf(candidates: readonly Candidate[]): readonly number[] {
  const rank = ({ share, total }: Candidate) => total / share;
  const tie = ({ share, random }: Candidate) => -Math.log(random) / share;
  return candidates
    .map((candidate, index) => ({ candidate, index }))
    .sort((a, b) => {
      const [one, other] = [a.candidate, b.candidate];
      if (one.share > 0 !== other.share > 0) return one.share > 0 ? -1 : 1;
      if (one.share === 0) return a.index - b.index;
      return rank(one) - rank(other) || tie(one) - tie(other);
    })
    .map(({ index }) => index);
}
