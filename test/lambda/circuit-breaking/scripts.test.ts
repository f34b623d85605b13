import { afterAll, beforeAll, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { claim, CLOSED, LETTER, type Outcome, record } from '../../../lambda/circuit-breaking/breaker';
import claimText from '../../../lambda/circuit-breaking/claim.lua';
import recordText from '../../../lambda/circuit-breaking/record.lua';
import { describeEachStore } from '../../store-servers';
import { backend } from '../policy';
import { ClockedScripts } from '../store-commands';

const rules = backend({
  breaker: {
    window: { kind: 'count' as never, size: 8 },
    minimumCalls: 4,
    slowRate: 0.7,
    halfOpenProbes: 3,
    openMs: 1000,
  },
}).breaker;
const NOW = 1_760_000_000_000;
const LEASE = 700;

const step = fc.oneof(
  fc.record({ kind: fc.constant('claim' as const), caller: fc.integer({ min: 0, max: 5 }), pause: fc.nat(600) }),
  fc.record({
    kind: fc.constant('record' as const),
    caller: fc.integer({ min: 0, max: 5 }),
    pause: fc.nat(300),
    outcome: fc.constantFrom(...(Object.keys(LETTER) as Outcome[]), 'failure' as const),
  }),
);

describeEachStore('the breaker in the store', (url) => {
  let scripts: ClockedScripts;
  let breakers = 0;
  beforeAll(() => {
    scripts = new ClockedScripts(url());
  });
  afterAll(() => {
    scripts.close();
  });

  it('agrees with the reference, step by step, on any sequence of claims and outcomes', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 10, maxLength: 40 }), async (steps) => {
        const keys = [`breaker:{b${breakers++}}`];
        let state = CLOSED;
        let now = NOW;
        for (const { caller, pause, ...action } of steps) {
          now += pause;
          const id = `id-${caller}`;
          const before = state.status;
          if (action.kind === 'claim') {
            const expected = claim(state, rules, { id, leaseMs: LEASE }, now);
            state = expected.state;
            const reply = await scripts.run(claimText, now, keys, [id, LEASE, rules.halfOpenProbes, 60_000]);
            expect(reply).toEqual([expected.claim, before, state.status]);
          } else {
            state = record(state, rules, { id, outcome: action.outcome }, now);
            const limits = [rules.window.size, rules.minimumCalls, rules.failureRate, rules.slowRate, rules.openMs];
            const args = [id, LETTER[action.outcome], ...limits, rules.halfOpenProbes, 60_000];
            expect(await scripts.run(recordText, now, keys, args)).toEqual([before, state.status]);
          }
        }
      }),
      { numRuns: 25 },
    );
  });
});
