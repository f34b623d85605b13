import type { ResolvedBackend } from '../../lib/policy/defaults';
import type { Claim } from '../circuit-breaking/breaker';
import { LocalBreakers } from '../circuit-breaking/local-breakers';
import type {
  Admission,
  AdmitRequest,
  BackendState,
  Settlement,
  StandInStore,
  Transition,
} from '../gateway/request-store';
import { preferenceOf } from '../load-balancing/load';
import { LocalLimits } from '../rate-limiting/local-limits';

/**
 * The books of this process alone, for the time in which the store is lost: this instance's share of the limits, its own
 * view of the backends, and no stored answers. Parallel requests and loads need no count here: an instance serves one
 * request at a time, and backends are drawn by their shares.
 */
export class LocalStore implements StandInStore {
  private readonly limits = new LocalLimits();
  private readonly breakers = new LocalBreakers();

  constructor(
    private readonly now: () => number,
    private readonly random: () => number,
  ) {}

  /** {@inheritDoc StandInStore.observe} */
  public observe(backends: readonly BackendState[]): void {
    for (const backend of backends) this.breakers.observe(backend);
  }

  /** {@inheritDoc RequestStore.admit} */
  public admit(request: AdmitRequest): Promise<Admission> {
    const now = this.now();
    const onlyIfCached = request.cache?.onlyIfCached === true;
    const nothing = { inputTokens: 0, outputTokens: 0 };
    const cost = onlyIfCached ? { ...request, ...nothing } : request;
    const { admitted, refusedBy, retryAfterMs, limits } = this.limits.admit(request.tenant, cost, now);
    return Promise.resolve({
      verdict: !admitted ? 'limited' : onlyIfCached ? 'uncached' : 'admitted',
      now,
      limits,
      ...(refusedBy && { refusedBy }),
      retryAfterMs,
      stale: false,
      entryIsStale: false,
      backends: this.statesOf(request, now),
    });
  }

  /** {@inheritDoc RequestStore.claim} */
  public claim(
    backend: ResolvedBackend,
    admitted: AdmitRequest,
  ): Promise<{ readonly claim: Claim; readonly transition?: Transition }> {
    const { claim, before, after } = this.breakers.claim(backend, admitted, this.now());
    const transition = { backend: backend.name, from: before.status, to: after.status };
    return Promise.resolve({ claim, ...(before.status !== after.status && { transition }) });
  }

  /** {@inheritDoc RequestStore.isFlying} */
  public isFlying(): Promise<boolean> {
    return Promise.resolve(false);
  }

  /** {@inheritDoc RequestStore.leave} */
  public leave(): Promise<void> {
    return Promise.resolve();
  }

  /** {@inheritDoc RequestStore.readStale} */
  public readStale(): Promise<undefined> {
    return Promise.resolve(undefined);
  }

  /** {@inheritDoc RequestStore.settle} */
  public settle({ admitted, used, outcomes }: Settlement): Promise<readonly Transition[]> {
    const now = this.now();
    this.limits.settle(admitted.tenant, admitted, { ...admitted, ...used }, now);
    const transitions = outcomes.flatMap(({ backend, ...call }) => {
      const [before, after] = this.breakers.record(backend, call, now);
      if (before.status === after.status) return [];
      const open = after.status === 'open' && { openUntil: after.openUntil };
      return [{ backend: backend.name, from: before.status, to: after.status, ...open }];
    });
    return Promise.resolve(transitions);
  }

  private statesOf({ chain }: AdmitRequest, now: number): BackendState[] {
    const candidates = chain.map(({ share }) => ({ share, total: 0, random: 1 - this.random() }));
    return preferenceOf(candidates).map((index) => {
      const { backend } = chain[index]!;
      return { backend, ...this.breakers.passage(backend, now) };
    });
  }
}
