import { afterAll, beforeAll, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { BreakerWindowKind } from '../../../lib/policy/backend';
import type { ResolvedBackend } from '../../../lib/policy/defaults';
import { claim, CLOSED, record } from '../../../lambda/circuit-breaking/breaker';
import { LETTER, type Outcome } from '../../../lambda/circuit-breaking/outcome-window';
import type { AdmitRequest } from '../../../lambda/gateway/request-store';
import { SCRIPTS } from '../../../lambda/store/scripts';
import { settleCommand } from '../../../lambda/store/settlement-script';
import { describeEachStore } from '../../store-servers';
import { backend, policy } from '../policy';
import { ClockedScripts } from '../store-commands';

const common = { minimumCalls: 4, slowRate: 0.7, halfOpenProbes: 3, openMs: 1000, maxOpenMs: 3000 };
const backends = {
  'of the last calls': backend({ breaker: { ...common, window: { kind: BreakerWindowKind.COUNT, size: 8 } } }),
  'of the last seconds': backend({ breaker: { ...common, window: { kind: BreakerWindowKind.TIME, size: 3 } } }),
};
const NOW = 1_760_000_000_000;
const LEASE = 700;

const step = fc.oneof(
  fc.record({ kind: fc.constant('claim' as const), caller: fc.integer({ min: 0, max: 5 }), pause: fc.nat(600) }),
  fc.record({
    kind: fc.constant('record' as const),
    caller: fc.integer({ min: 0, max: 5 }),
    pause: fc.nat(300),
    outcome: fc.constantFrom(...(Object.keys(LETTER) as Outcome[]), 'failure' as const),
    cooldownMs: fc.constantFrom(0, 0, 0, 500),
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

  const settling = (guarded: ResolvedBackend, id: string, outcome: Outcome, cooldownMs: number) => {
    const [model] = policy().models;
    const plan = policy().plans[0]!;
    const admitted: AdmitRequest = {
      ...{ id, tenant: 'acme', plan, model: model!, leaseMs: LEASE, chain: [], inputTokens: 0, outputTokens: 0 },
    };
    const outcomes = [{ backend: guarded, id, probe: true, outcome, cooldownMs }];
    return settleCommand({ admitted, used: admitted, outcomes }, { onlyOutcomes: true });
  };

  it.each(Object.entries(backends))(
    'agrees with the reference on calls %s, step by step, on any sequence of claims and outcomes',
    async (_, { breaker: rules, ...rest }) => {
      await fc.assert(
        fc.asyncProperty(fc.array(step, { minLength: 10, maxLength: 40 }), async (steps) => {
          const guarded = { ...rest, breaker: rules, name: `b${breakers++}` };
          const key = `breaker:{${guarded.name}}`;
          let state = CLOSED;
          let now = NOW;
          for (const { caller, pause, ...action } of steps) {
            now += pause;
            const id = `id-${caller}`;
            const before = state.status;
            if (action.kind === 'claim') {
              const expected = claim(state, rules, { id, leaseMs: LEASE }, now);
              state = expected.state;
              const reply = await scripts.run(
                SCRIPTS.claim.text,
                now,
                [key],
                [id, LEASE, rules.halfOpenProbes, 60_000],
              );
              expect(reply).toEqual([expected.claim, before, state.status]);
            } else {
              const { outcome, cooldownMs } = action;
              state = record(state, rules, { id, outcome, cooldownMs }, now);
              const command = settling(guarded, id, outcome, cooldownMs);
              expect(await scripts.runCommand(command, now)).toMatch(new RegExp(`^${before},${state.status},`));
              const kept = await scripts.fields(key, ['until', 'cooldown']);
              expect(kept.map(Number)).toEqual([state.openUntil, state.cooldownUntil]);
            }
          }
        }),
        { numRuns: 25 },
      );
    },
  );
});
