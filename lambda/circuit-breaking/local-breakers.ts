import type { ResolvedBackend } from '../../lib/policy/defaults';
import { type BreakerState, type Claim, claim, CLOSED, passage, type Passage, record } from './breaker';
import type { Outcome } from './outcome-window';

/** What the store last said of a backend. */
interface Seen {
  readonly backend: ResolvedBackend;
  readonly passage: Passage | 'short';
  readonly until: number;
}

/** The breakers of this process, which decide while the store is lost. They begin with what the store said last. */
export class LocalBreakers {
  private readonly states = new Map<string, BreakerState>();
  private readonly seen = new Map<string, Seen>();

  /** Notes what the store says of a backend; it replaces what this process has found by itself. */
  public observe(seen: Seen): void {
    this.seen.set(seen.backend.name, seen);
  }

  /** Whether a call may be made, and until when not. */
  public passage({ name }: ResolvedBackend, now: number): { readonly passage: Passage; readonly until: number } {
    const state = this.state(name, now);
    const way = passage(state, now);
    return { passage: way, until: way === 'cooling' ? state.cooldownUntil : state.openUntil };
  }

  /** Claims a probe. */
  public claim(
    backend: ResolvedBackend,
    probe: { readonly id: string; readonly leaseMs: number },
    now: number,
  ): { readonly claim: Claim; readonly before: BreakerState; readonly after: BreakerState } {
    const before = this.state(backend.name, now);
    const { claim: answer, state: after } = claim(before, backend.breaker, probe, now);
    this.states.set(backend.name, after);
    return { claim: answer, before, after };
  }

  /** Records an outcome and returns the states before and after. */
  public record(
    backend: ResolvedBackend,
    call: { readonly id: string; readonly outcome: Outcome; readonly cooldownMs?: number },
    now: number,
  ): readonly [BreakerState, BreakerState] {
    const before = this.state(backend.name, now);
    const after = record(before, backend.breaker, call, now);
    this.states.set(backend.name, after);
    return [before, after];
  }

  /** A breaker's state, closed for a backend that was not called yet. */
  private state(name: string, now: number): BreakerState {
    const seen = this.seen.get(name);
    const known = this.states.get(name) ?? CLOSED;
    if (!seen) return known;
    this.seen.delete(name);
    const state = adopted(seen, now);
    this.states.set(name, state);
    return state;
  }
}

/** The state that leads to what was seen. An order without an end is held for as long as the breaker would be open. */
function adopted({ passage: way, until, backend }: Seen, now: number): BreakerState {
  switch (way) {
    case 'free':
    case 'short':
      return CLOSED;
    case 'cooling':
      return { ...CLOSED, cooldownUntil: until };
    case 'blocked':
      return { ...CLOSED, status: 'open', openUntil: until > 0 ? until : now + backend.breaker.openMs };
    case 'claim':
      return { ...CLOSED, status: 'open', openUntil: now };
  }
}
