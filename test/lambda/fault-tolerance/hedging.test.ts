import { describe, expect, it } from '@jest/globals';
import type { ResolvedBackend } from '../../../lib/policy/defaults';
import { RetryBudget } from '../../../lambda/fault-tolerance/retry-budget';
import { type Attempt, type Hedging, type Permission, route } from '../../../lambda/fault-tolerance/route';
import type { CallSignal } from '../../../lambda/gateway/backend-port';
import { HangUp } from '../../../lambda/gateway/hang-up';
import { policy } from '../policy';

type Result = Attempt<string, string>;
const answered = (answer: string): Result => ({ kind: 'answered', answer });
const FAILED: Result = { kind: 'failed', reason: 'backend_error', outcome: 'failure', retriable: true };
const TIMED_OUT: Result = { kind: 'failed', reason: 'timeout', outcome: 'failure', retriable: true };
const REFUSED: Result = { kind: 'refused', refusal: 'too long' };

const DELAY = 40;
const chain = policy({
  backends: [{ name: 'a', retries: { max: 0 } }, { name: 'b' }, { name: 'c' }],
  models: [{ name: 'm', backends: ['a', 'b', 'c'] }],
}).backends;

/** A request whose calls end when the test says so, on a clock that the test turns. */
class Routed {
  public readonly calls: string[] = [];
  public readonly givenUp: string[] = [];
  public readonly noted: [backend: string, ms: number][] = [];
  public readonly hungUp = new HangUp();
  public readonly budgets = new Map(chain.map(({ name }) => [name, new RetryBudget(0.1)]));
  public readonly permissions: Record<string, Permission> = {};
  public cancelledTimers = 0;
  private readonly results = new Map<string, (result: Result | Error) => void>();
  private ring: (() => void) | undefined;

  public start(hedging: Partial<Hedging> | undefined = {}) {
    return route<string, string>(chain, {
      permission: ({ name }) => Promise.resolve(this.permissions[name] ?? 'closed'),
      attempt: (backend, signal) => this.call(backend, signal),
      budget: ({ name }) => this.budgets.get(name)!,
      pause: () => Promise.resolve(),
      random: () => 0,
      hungUp: this.hungUp,
      ...(hedging && {
        hedging: {
          delayMs: () => DELAY,
          isFree: ({ name }) => (this.permissions[name] ?? 'closed') === 'closed',
          noteGivenUp: ({ name }, ms) => this.noted.push([name, ms]),
          timer: (ms, callback) => {
            expect(ms).toBe(DELAY);
            this.ring = callback;
            return () => (this.cancelledTimers += 1);
          },
          ...hedging,
        },
      }),
    });
  }

  /** Lets the delay pass. */
  public async pass(): Promise<void> {
    await idle();
    this.ring?.();
    await idle();
  }

  public async end(backend: string, result: Result | Error): Promise<void> {
    await idle();
    this.results.get(backend)!(result);
    await idle();
  }

  private call({ name }: ResolvedBackend, signal: CallSignal): Promise<Result> {
    this.calls.push(name);
    return new Promise((resolve, reject) => {
      this.results.set(name, (result) => (result instanceof Error ? reject(result) : resolve(result)));
      signal.addEventListener('abort', () => {
        this.givenUp.push(name);
        resolve({ kind: 'abandoned' });
      });
    });
  }
}

const idle = () => new Promise((resolve) => setImmediate(resolve));
const outcomes = (finished: readonly { backend: ResolvedBackend; outcome: string }[]) =>
  finished.map(({ backend, outcome }) => `${backend.name} ${outcome}`);

describe('a request whose first call is late', () => {
  it('is answered by the second call where that is sooner, and gives the first up', async () => {
    const at = new Routed();
    const routed = at.start();
    await at.pass();
    expect(at.calls).toEqual(['a', 'b']);
    await at.end('b', answered('from b'));
    const { end, fallback, finished, hedged, retries } = await routed;
    expect(end).toMatchObject({ kind: 'answered', answer: 'from b', backend: { name: 'b' }, probe: false });
    expect([fallback, hedged, retries, at.givenUp]).toEqual(['hedged', true, 0, ['a']]);
    expect(outcomes(finished)).toEqual(['a ignored']);
    expect(at.noted).toEqual([['a', DELAY]]);
  });

  it('is answered by the first call where that is sooner after all, and gives the second up', async () => {
    const at = new Routed();
    const routed = at.start();
    await at.pass();
    await at.end('a', answered('from a'));
    const { end, fallback, finished, hedged } = await routed;
    expect(end).toMatchObject({ kind: 'answered', answer: 'from a', backend: { name: 'a' } });
    expect([fallback, hedged, at.givenUp, at.noted]).toEqual([undefined, true, ['b'], []]);
    expect(outcomes(finished)).toEqual(['b ignored']);
  });

  it.each([
    ['first', 'a', 'b', 'backend_error'],
    ['second', 'b', 'a', undefined],
  ])('waits for the other call where the %s fails, and counts the failure', async (_, failing, other, reason) => {
    const at = new Routed();
    const routed = at.start();
    await at.pass();
    await at.end(failing, FAILED);
    expect(at.givenUp).toEqual([]);
    await at.end(other, answered('yes'));
    const { end, fallback, finished } = await routed;
    expect(end).toMatchObject({ kind: 'answered', backend: { name: other } });
    expect([fallback, outcomes(finished), at.calls]).toEqual([reason, [`${failing} failure`], ['a', 'b']]);
  });

  it.each([
    [['a', 'b'], 'backend_error'],
    [['b', 'a'], 'timeout'],
  ])('goes on with the rest of the chain where both fail, %j', async (order, reason) => {
    const at = new Routed();
    const routed = at.start();
    await at.pass();
    await at.end(order[0]!, FAILED);
    await at.end(order[1]!, TIMED_OUT);
    await at.end('c', answered('from c'));
    const { end, fallback, finished } = await routed;
    expect(end).toMatchObject({ kind: 'answered', backend: { name: 'c' } });
    expect(fallback).toBe(reason);
    expect([at.calls, outcomes(finished)]).toEqual([['a', 'b', 'c'], order.map((name) => `${name} failure`)]);
  });

  it('ends where its own backend finds fault with the request', async () => {
    const at = new Routed();
    const routed = at.start();
    await at.pass();
    await at.end('a', REFUSED);
    expect((await routed).end).toMatchObject({ kind: 'refused', backend: { name: 'a' } });
    expect(at.givenUp).toEqual(['b']);
  });

  it('waits for its own backend where the second finds fault with the request', async () => {
    const at = new Routed();
    const routed = at.start();
    await at.pass();
    await at.end('b', REFUSED);
    await at.end('a', answered('from a'));
    expect(await routed).toMatchObject({ end: { kind: 'answered', answer: 'from a' } });

    const again = new Routed();
    const refused = again.start();
    await again.pass();
    await again.end('b', REFUSED);
    await again.end('a', FAILED);
    const { end, finished, fallback } = await refused;
    expect(end).toMatchObject({ kind: 'refused', refusal: 'too long', backend: { name: 'b' } });
    expect([outcomes(finished), fallback]).toEqual([['a failure', 'b ignored'], 'backend_error']);
  });

  it('ends both calls when the client hangs up, whichever comes to be known first', async () => {
    const at = new Routed();
    const routed = at.start();
    await at.pass();
    at.hungUp.abort();
    const { end, fallback, finished } = await routed;
    expect([end, fallback, at.givenUp]).toEqual([{ kind: 'abandoned' }, undefined, ['a', 'b']]);
    expect(outcomes(finished).sort()).toEqual(['a ignored', 'b ignored']);
  });

  it('ends the call that won when the client hangs up while it reads the answer', async () => {
    const at = new Routed();
    const routed = at.start();
    await at.pass();
    await at.end('b', answered('from b'));
    await routed;
    at.hungUp.abort();
    expect(at.givenUp).toEqual(['a', 'b']);
  });

  it('gives both calls up where one meets a fault of ours, and shows the fault', async () => {
    const at = new Routed();
    const routed = at.start();
    await at.pass();
    const failed = expect(routed).rejects.toThrow('a fault');
    await at.end('b', new Error('a fault'));
    await failed;
    expect(at.givenUp).toEqual(['a', 'b']);
  });
});

describe('no second call is made', () => {
  const settled = async (at: Routed, hedging?: Partial<Hedging>) => {
    const routed = at.start(hedging);
    await at.pass();
    await at.end('a', answered('from a'));
    expect([at.calls, await routed]).toMatchObject([['a'], { end: { backend: { name: 'a' } }, hedged: false }]);
  };

  it('where the first answers in time: its timer is stopped', async () => {
    const at = new Routed();
    const routed = at.start();
    await at.end('a', answered('from a'));
    expect(await routed).toMatchObject({ hedged: false });
    expect(at.cancelledTimers).toBe(1);
  });

  it('before the usual time of the first is known', async () => {
    await settled(new Routed(), { delayMs: () => undefined });
  });

  it('where no other breaker is closed: a probe is no second call', async () => {
    const at = new Routed();
    Object.assign(at.permissions, { b: 'permit', c: 'refused' });
    await settled(at);
  });

  it('beyond the retry budgets of the others', async () => {
    const at = new Routed();
    for (const name of ['b', 'c']) at.budgets.set(name, new RetryBudget(0));
    await settled(at);
  });

  it('once the client has hung up', async () => {
    const at = new Routed();
    const routed = at.start();
    await idle();
    at.hungUp.abort();
    await at.pass();
    expect([at.calls, (await routed).end.kind]).toEqual([['a'], 'abandoned']);
  });

  it('beside a probe, which is there to be judged', async () => {
    const at = new Routed();
    at.permissions.a = 'permit';
    await settled(at);
  });

  it('beside a retry, or a later backend', async () => {
    const at = new Routed();
    const routed = at.start();
    await at.end('a', FAILED);
    await at.pass();
    expect(at.calls).toEqual(['a', 'b']);
    await at.end('b', answered('from b'));
    expect(await routed).toMatchObject({ hedged: false, fallback: 'backend_error' });
  });
});

it('takes the next free backend that can afford it', async () => {
  const at = new Routed();
  at.permissions.b = 'refused';
  const routed = at.start();
  await at.pass();
  expect(at.calls).toEqual(['a', 'c']);
  await at.end('c', answered('from c'));
  expect(await routed).toMatchObject({ end: { backend: { name: 'c' } } });
});

it('keeps second calls to their share of first ones, where the second backend has no first calls of its own', async () => {
  const at = new Routed();
  let hedges = 0;
  for (let i = 0; i < 200; i++) {
    const before = at.calls.length;
    const routed = at.start();
    await at.pass();
    hedges += at.calls.length - before - 1;
    await at.end('a', answered('from a'));
    await routed;
  }
  // One and ten in a hundred of b's, and the one that c begins with.
  expect(hedges).toBeGreaterThanOrEqual(20);
  expect(hedges).toBeLessThanOrEqual(22);
});
