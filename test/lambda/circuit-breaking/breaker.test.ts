import { describe, expect, it } from '@jest/globals';
import { type BreakerState, claim, CLOSED, passage, record } from '../../../lambda/circuit-breaking/breaker';
import type { Outcome } from '../../../lambda/circuit-breaking/outcome-window';
import { BreakerWindowKind } from '../../../lib/policy/backend';
import { backend } from '../policy';

const rules = backend({ breaker: { minimumCalls: 4, halfOpenProbes: 2, openMs: 1000 } }).breaker;
const LEASE = 500;

function after(outcomes: readonly Outcome[], state: BreakerState = CLOSED, now = 0): BreakerState {
  return outcomes.reduce((s, outcome, i) => record(s, rules, { id: `c${i}`, outcome }, now), state);
}

describe('a breaker', () => {
  it('stays closed below the minimum of calls and opens at the failure rate', () => {
    expect(after(['failure', 'failure', 'failure']).status).toBe('closed');
    expect(after(['success', 'success', 'success', 'failure']).status).toBe('closed');
    expect(after(['success', 'success', 'failure', 'failure'])).toMatchObject({ status: 'open', openUntil: 1000 });
  });

  it('opens on slow first tokens alone, and does not count ignored calls', () => {
    expect(after(['slowSuccess', 'slowSuccess', 'slowFailure', 'slowSuccess']).status).toBe('open');
    expect(after(Array<Outcome>(50).fill('ignored'))).toEqual(CLOSED);
  });

  it('gives out exactly its number of probes, once each, after its open time', () => {
    const open = after(['failure', 'failure', 'failure', 'failure']);
    expect(passage(open, 999)).toBe('blocked');
    expect(claim(open, rules, { id: 'a', leaseMs: LEASE }, 999).claim).toBe('refused');
    const first = claim(open, rules, { id: 'a', leaseMs: LEASE }, 1000);
    const second = claim(first.state, rules, { id: 'b', leaseMs: LEASE }, 1000);
    const third = claim(second.state, rules, { id: 'c', leaseMs: LEASE }, 1000);
    expect([first.claim, second.claim, third.claim]).toEqual(['permit', 'permit', 'refused']);
    expect(claim(third.state, rules, { id: 'd', leaseMs: LEASE }, 1000 + LEASE).claim).toBe('permit');
  });

  it('closes when its probes succeed, opens again when they fail, and lets an ignored one go to another', () => {
    const open = after(['failure', 'failure', 'failure', 'failure']);
    const probing = ['a', 'b'].reduce((s, id) => claim(s, rules, { id, leaseMs: LEASE }, 1000).state, open);
    const end = (id: string, outcome: Outcome, state: BreakerState) => record(state, rules, { id, outcome }, 1100);
    expect(end('b', 'success', end('a', 'success', probing))).toEqual(CLOSED);
    expect(end('b', 'failure', end('a', 'success', probing))).toMatchObject({ status: 'open', openUntil: 3100 });
    expect(end('stranger', 'failure', probing)).toEqual(probing);
    expect(claim(end('a', 'ignored', probing), rules, { id: 'c', leaseMs: LEASE }, 1100).claim).toBe('permit');
  });

  it('stays open twice as long each time that its probes fail, up to its limit, and starts again once it has closed', () => {
    const growing = backend({
      breaker: { minimumCalls: 1, halfOpenProbes: 1, openMs: 1000, maxOpenMs: 5000 },
    }).breaker;
    const probe = (state: BreakerState, outcome: Outcome): BreakerState => {
      const at = state.openUntil;
      return record(claim(state, growing, { id: 'p', leaseMs: LEASE }, at).state, growing, { id: 'p', outcome }, at);
    };
    const openFor = (state: BreakerState, since: number) => state.openUntil - since;
    let state = record(CLOSED, growing, { id: 'a', outcome: 'failure' }, 0);
    const spans = [openFor(state, 0)];
    for (let i = 0; i < 4; i++) {
      const since = state.openUntil;
      state = probe(state, 'failure');
      spans.push(openFor(state, since));
    }
    expect(spans).toEqual([1000, 2000, 4000, 5000, 5000]);
    const closed = probe(state, 'success');
    expect(record(closed, growing, { id: 'a', outcome: 'failure' }, 0).openUntil).toBe(1000);
  });

  it('judges the calls of a span of time, and forgets those that are older', () => {
    const timed = backend({
      breaker: { window: { kind: BreakerWindowKind.TIME, size: 10 }, minimumCalls: 4, openMs: 1000 },
    }).breaker;
    const at = (state: BreakerState, outcome: Outcome, second: number) =>
      record(state, timed, { id: 'c', outcome }, second * 1000);
    const three = [0, 1, 2].reduce((state, second) => at(state, 'failure', second), CLOSED);
    expect(at(three, 'failure', 9.9).status).toBe('open');
    expect(at(three, 'failure', 10).status).toBe('closed');
    const many = Array.from({ length: 600 }, (_, i) => i / 10).reduce((s, second) => at(s, 'success', second), CLOSED);
    expect(many.window.split(';').length - 1).toBe(10);
  });

  it('leaves a backend alone for as long as that has asked, and lets no later request shorten it', () => {
    const asked = record(CLOSED, rules, { id: 'a', outcome: 'ignored', cooldownMs: 3000 }, 1000);
    const again = record(asked, rules, { id: 'b', outcome: 'ignored', cooldownMs: 100 }, 1500);
    expect([passage(again, 3999), passage(again, 4000)]).toEqual(['cooling', 'free']);
    expect(again.status).toBe('closed');
  });

  it('obeys an operator before all else, until the order ends', () => {
    const open = after(['failure', 'failure', 'failure', 'failure']);
    expect(passage({ ...open, forced: 'closed' }, 10)).toBe('free');
    expect(passage({ ...CLOSED, forced: 'open', forcedUntil: 100 }, 99)).toBe('blocked');
    expect(passage({ ...CLOSED, forced: 'open', forcedUntil: 100 }, 100)).toBe('free');
  });
});
