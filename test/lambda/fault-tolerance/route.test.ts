import { describe, expect, it } from '@jest/globals';
import type { ResolvedBackend } from '../../../lib/policy/defaults';
import { type Attempt, type Permission, route } from '../../../lambda/fault-tolerance/route';
import { HangUp } from '../../../lambda/gateway/hang-up';
import { policy } from '../policy';

const chain = policy().backends;
const BUSY = { kind: 'failed', reason: 'backend_busy', outcome: 'ignored', retriable: false } as const;

function routed(
  attempt: (backend: ResolvedBackend) => Attempt<string, string>,
  permission: (backend: ResolvedBackend) => Permission = () => 'closed',
) {
  return route<string, string>(chain, {
    permission: (backend) => Promise.resolve(permission(backend)),
    attempt: (backend) => Promise.resolve(attempt(backend)),
    budget: () => ({ earn: () => undefined, spend: () => true }),
    pause: () => Promise.resolve(),
    random: () => 0,
    hungUp: new HangUp(),
  });
}

const isFirst = ({ name }: ResolvedBackend) => name === 'first';

describe('a backend that is busy', () => {
  it('is passed over at once, and its wish to be left alone is told to its breaker', async () => {
    const { end, fallback, finished, retries } = await routed((backend) =>
      isFirst(backend) ? { ...BUSY, cooldownMs: 700 } : { kind: 'answered', answer: 'yes' },
    );
    expect(end).toMatchObject({ kind: 'answered', backend: { name: 'second' } });
    expect([fallback, retries]).toEqual(['backend_busy', 0]);
    expect(finished).toEqual([{ backend: chain[0], probe: false, outcome: 'ignored', cooldownMs: 700 }]);
  });

  it('says nothing where it does not know how long', async () => {
    const { finished } = await routed(() => BUSY);
    expect(finished).toEqual(chain.map((backend) => ({ backend, probe: false, outcome: 'ignored' })));
  });

  it('is not called while it cools down, and an open breaker is told apart from it', async () => {
    const called: string[] = [];
    const answering = (backend: ResolvedBackend): Attempt<string, string> => {
      called.push(backend.name);
      return { kind: 'answered', answer: 'yes' };
    };
    const cooling = await routed(answering, (backend) => (isFirst(backend) ? 'busy' : 'closed'));
    expect([cooling.fallback, called]).toEqual(['backend_busy', ['second']]);
    expect(await routed(answering, () => 'busy')).toMatchObject({
      end: { kind: 'exhausted', reason: 'backend_busy' },
    });
    expect(await routed(answering, () => 'refused')).toMatchObject({
      end: { kind: 'exhausted', reason: 'circuit_open' },
    });
    expect(called).toEqual(['second']);
  });
});
