import { describe, expect, it } from '@jest/globals';
import {
  type BreakerState,
  claim,
  CLOSED,
  type Outcome,
  passage,
  record,
} from '../../../lambda/circuit-breaking/breaker';
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
    expect(end('b', 'failure', end('a', 'success', probing))).toMatchObject({ status: 'open', openUntil: 2100 });
    expect(end('stranger', 'failure', probing)).toEqual(probing);
    expect(claim(end('a', 'ignored', probing), rules, { id: 'c', leaseMs: LEASE }, 1100).claim).toBe('permit');
  });
});
