import type { ResolvedBackend } from '../../lib/policy/defaults';
import { type BreakerState, type Claim, claim, CLOSED, type Outcome, record } from './breaker';

/** The breakers of this process, which decide while the store is lost. */
export class LocalBreakers {
  private readonly states = new Map<string, BreakerState>();

  /** A breaker's state, closed for a backend that was not called yet. */
  public state(backend: string): BreakerState {
    return this.states.get(backend) ?? CLOSED;
  }

  /** Claims a probe. */
  public claim(backend: ResolvedBackend, probe: { readonly id: string; readonly leaseMs: number }, now: number): Claim {
    const result = claim(this.state(backend.name), backend.breaker, probe, now);
    this.states.set(backend.name, result.state);
    return result.claim;
  }

  /** Records an outcome and returns the states before and after. */
  public record(
    backend: ResolvedBackend,
    call: { readonly id: string; readonly outcome: Outcome },
    now: number,
  ): readonly [BreakerState, BreakerState] {
    const before = this.state(backend.name);
    const after = record(before, backend.breaker, call, now);
    this.states.set(backend.name, after);
    return [before, after];
  }
}
