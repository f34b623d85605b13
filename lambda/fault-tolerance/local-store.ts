import type { ResolvedBackend } from '../../lib/policy/defaults';
import type { Claim } from '../circuit-breaking/breaker';
import { LocalBreakers } from '../circuit-breaking/local-breakers';
import type { Admission, AdmitRequest, RequestStore, Settlement, Transition } from '../gateway/request-store';
import { LocalLimits } from '../rate-limiting/local-limits';

/**
 * The books of this process alone, for the time in which the store is lost: this instance's share of the limits, its own
 * view of the backends, and no stored answers. Parallel requests need no count here: an instance serves one at a time.
 */
export class LocalStore implements RequestStore {
  private readonly limits = new LocalLimits();
  private readonly breakers = new LocalBreakers();

  constructor(private readonly now: () => number) {}

  /** {@inheritDoc RequestStore.admit} */
  public admit(request: AdmitRequest): Promise<Admission> {
    const now = this.now();
    const onlyIfCached = request.cache?.onlyIfCached === true;
    const tokens = onlyIfCached ? 0 : request.tokens;
    const { admitted, refusedBy, retryAfterMs, limits } = this.limits.admit(request.tenant, request.plan, tokens, now);
    return Promise.resolve({
      verdict: !admitted ? 'limited' : onlyIfCached ? 'uncached' : 'admitted',
      now,
      limits,
      ...(refusedBy && { refusedBy }),
      retryAfterMs,
      stale: false,
      breakers: Object.fromEntries(request.backends.map((name) => [name, this.breakers.state(name)])),
    });
  }

  /** {@inheritDoc RequestStore.claim} */
  public claim(backend: ResolvedBackend, probe: { readonly id: string; readonly leaseMs: number }): Promise<Claim> {
    return Promise.resolve(this.breakers.claim(backend, probe, this.now()));
  }

  /** {@inheritDoc RequestStore.readStale} */
  public readStale(): Promise<undefined> {
    return Promise.resolve(undefined);
  }

  /** {@inheritDoc RequestStore.settle} */
  public settle({ admitted, tokenDifference, outcomes }: Settlement): Promise<readonly Transition[]> {
    const now = this.now();
    this.limits.settle(admitted.tenant, admitted.plan, tokenDifference, now);
    const transitions = outcomes.flatMap(({ backend, ...call }) => {
      const [before, after] = this.breakers.record(backend, call, now);
      return before.status === after.status ? [] : [{ backend: backend.name, from: before.status, to: after.status }];
    });
    return Promise.resolve(transitions);
  }
}
