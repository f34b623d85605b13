import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { Redis as Valkey } from 'ioredis';
import { resolvePlan } from '../../../lib/policy/defaults';
import type { AdmitRequest } from '../../../lambda/gateway/request-store';
import type { ChainLink } from '../../../lambda/load-balancing/chain';
import { hasRoom, preferenceOf } from '../../../lambda/load-balancing/load';
import { chargesOf } from '../../../lambda/rate-limiting/charges';
import { LoadDesk } from '../../../lambda/store/load-desk';
import { admissionOf, admitCommand } from '../../../lambda/store/admission-script';
import { settleCommand } from '../../../lambda/store/settlement-script';
import { describeEachStore } from '../../store-servers';
import { backend, policy } from '../policy';
import { ClockedScripts } from '../store-commands';

const NOW = 1_760_000_000_000;
const LEASE_MS = 10_000;
const CAPACITY = 1000;
const WEIGHTS = [1, 2, 4];
const SHARES = [3, 1, 0];

/** A request in progress, as the reference keeps it. */
interface Running {
  readonly asked: AdmitRequest;
  readonly tenant: number;
  readonly at: string;
  readonly endsAt: number;
}

const plans = WEIGHTS.map((weight) =>
  resolvePlan({ name: 'p', requestsPerMinute: 1e6, tokensPerMinute: 1e9, parallelRequests: 1000, weight }),
);

describeEachStore('the loads in the store', (url) => {
  let scripts: ClockedScripts;
  let chains = 0;
  beforeAll(() => {
    scripts = new ClockedScripts(url());
  });
  afterAll(() => {
    scripts.close();
  });

  const newChain = (shares = SHARES, capacityTokens = CAPACITY): ChainLink[] => {
    chains += 1;
    return shares.map((share, i) => ({
      backend: backend({ name: `b${chains}-${i}`, ...(capacityTokens && { capacityTokens }) }),
      share,
      counted: true,
      hasRoom: false,
    }));
  };
  const request = (id: string, tenant: number, tokens: number, chain: ChainLink[]): AdmitRequest => ({
    ...{ id, tenant: `c${chains}-t${tenant}`, plan: plans[tenant % 3]!, model: policy().models[0]! },
    ...{ inputTokens: tokens, outputTokens: 0, leaseMs: LEASE_MS, chain },
  });
  const ask = async (asked: AdmitRequest, now: number, random: () => number = Math.random) => {
    const charges = chargesOf(asked, now);
    return admissionOf(await scripts.runCommand(admitCommand(asked, charges, random), now), asked, charges);
  };
  const finish = (asked: AdmitRequest, loadedAt: string | undefined, now: number) =>
    scripts.runCommand(
      settleCommand({ admitted: asked, used: asked, outcomes: [], ...(loadedAt && { loadedAt }) }),
      now,
    );

  it('agree with the reference, step by step: which backend, and who may use one that is short', async () => {
    const asking = fc.record({
      kind: fc.constant('ask' as const),
      tenant: fc.nat(2),
      tokens: fc.integer({ min: 1, max: 600 }),
      ceiling: fc.constantFrom(undefined, undefined, 0.6),
    });
    const step = fc.oneof(asking, asking, fc.record({ kind: fc.constant('finish' as const), which: fc.nat(20) }));
    const noise = fc.infiniteStream(fc.integer({ min: 1, max: 999 }));
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 30 }), noise, async (steps, dice) => {
        const chain = newChain();
        const running: Running[] = [];
        for (const [i, action] of steps.entries()) {
          if (action.kind === 'finish') {
            const [done] = running.splice(action.which % Math.max(1, running.length), 1);
            if (done) await finish(done.asked, done.at, NOW);
            continue;
          }
          const { tenant, tokens, ceiling } = action;
          const randoms = chain.map(() => (dice.next().value as number) / 1000);
          const loads = chain.map(({ backend: { name } }) => {
            const here = running.filter(({ at }) => at === name);
            const sum = (list: Running[]) => list.reduce((all, { asked }) => all + asked.inputTokens, 0);
            const urgent = here.filter(({ asked }) => asked.ceiling === undefined);
            const active = new Set(urgent.map((one) => one.tenant));
            return {
              total: sum(here),
              weights: [...active].reduce((all, one) => all + WEIGHTS[one]!, 0),
              own: sum(urgent.filter((one) => one.tenant === tenant && ceiling === undefined)),
            };
          });
          const order = preferenceOf(
            chain.map(({ share }, j) => ({ share, total: loads[j]!.total, random: 1 - randoms[j]! })),
          );
          // Background work has no weight, and the part of the capacity below its ceiling.
          const weight = ceiling === undefined ? WEIGHTS[tenant]! : 0;
          const capacity = CAPACITY * (ceiling ?? 1);
          const chosen = order.find((j) => hasRoom(loads[j]!, { tokens, weight }, capacity));
          const asked = { ...request(`r${i}`, tenant, tokens, chain), ...(ceiling && { ceiling }) };
          const numbers = [...randoms];
          const admission = await ask(asked, NOW, () => numbers.shift()!);
          if (chosen === undefined) {
            expect(admission).toMatchObject({ verdict: 'limited', refusedBy: { limit: 'capacity' } });
            continue;
          }
          const at = chain[chosen]!.backend.name;
          expect(admission).toMatchObject({ verdict: 'admitted', loadedAt: at });
          expect(admission.backends.map(({ backend: { name } }) => name)).toEqual(
            order.map((j) => chain[j]!.backend.name),
          );
          running.push({ asked, tenant, at, endsAt: NOW + LEASE_MS });
        }
        for (const { asked, at } of running) await finish(asked, at, NOW);
        for (const {
          backend: { name },
        } of chain) {
          expect(await scripts.fields(`load:{${name}}`, ['total', 'weights'])).toEqual(['', '']);
        }
      }),
      { numRuns: 30 },
    );
  });

  it('give a tenant its share at once, even while another has taken everything, and hold that one back', async () => {
    const [link] = newChain([0]);
    const chain = [link!];
    for (let i = 0; i < 10; i++) expect((await ask(request(`a${i}`, 0, 100, chain), NOW)).verdict).toBe('admitted');
    expect((await ask(request('a10', 0, 100, chain), NOW)).refusedBy).toEqual({ limit: 'capacity' });
    // A plan of weight 4 beside one of weight 1: four fifths.
    for (let i = 0; i < 8; i++) expect((await ask(request(`b${i}`, 2, 100, chain), NOW)).verdict).toBe('admitted');
    expect((await ask(request('b8', 2, 100, chain), NOW)).refusedBy).toEqual({ limit: 'capacity' });
    for (let i = 0; i < 8; i++) {
      await finish(request(`a${i}`, 0, 100, chain), link!.backend.name, NOW);
      expect((await ask(request(`a1${i}`, 0, 100, chain), NOW)).refusedBy).toEqual({ limit: 'capacity' });
    }
    await finish(request('a8', 0, 100, chain), link!.backend.name, NOW);
    expect((await ask(request('a20', 0, 100, chain), NOW)).verdict).toBe('admitted');
  });

  it('hold background work below its ceiling, and give interactive tenants the shares that they have without it', async () => {
    const [link] = newChain([0]);
    const chain = [link!];
    const job = (id: string, tokens: number) => ({ ...request(id, 0, tokens, chain), ceiling: 0.7 });
    for (let i = 0; i < 7; i++) expect((await ask(job(`j${i}`, 100), NOW)).verdict).toBe('admitted');
    expect((await ask(job('j7', 100), NOW)).refusedBy).toEqual({ limit: 'capacity' });
    // The tenant whose work it is keeps its whole share, which is all while it is alone.
    for (let i = 0; i < 10; i++) expect((await ask(request(`a${i}`, 0, 100, chain), NOW)).verdict).toBe('admitted');
    expect((await ask(request('a10', 0, 100, chain), NOW)).refusedBy).toEqual({ limit: 'capacity' });
    for (let i = 0; i < 8; i++) await finish(request(`a${i}`, 0, 100, chain), link!.backend.name, NOW);
    expect((await ask(job('j8', 100), NOW)).refusedBy).toEqual({ limit: 'capacity' });
    for (let i = 0; i < 7; i++) await finish(job(`j${i}`, 100), link!.backend.name, NOW);
    expect((await ask(job('j9', 100), NOW)).verdict).toBe('admitted');
  });

  describe('with a fleet that lets in what its instances carry', () => {
    const desk = new LoadDesk((commands) => Promise.all(commands.map((command) => scripts.runCommand(command, NOW))));
    const fleetChain = (...shares: number[]) => newChain(shares, 0).map((link) => ({ ...link, hasRoom: true }));
    const nameOf = (link: ChainLink | undefined) => link!.backend.name;
    const workOf = async (link: ChainLink | undefined) => (await desk.work([nameOf(link)]))[0];

    it('let everything in until it is said how much that is', async () => {
      const chain = fleetChain(0);
      for (let i = 0; i < 5; i++) expect((await ask(request(`n${i}`, 0, 9000, chain), NOW)).verdict).toBe('admitted');
      expect(await workOf(chain[0])).toEqual({ tokens: 45_000 });
    });

    it('turn away what is beyond, but for the share of a tenant, and count both', async () => {
      const chain = fleetChain(0);
      await desk.setRooms([{ backend: nameOf(chain[0]), tokens: 1000 }]);
      for (let i = 0; i < 10; i++) expect((await ask(request(`f${i}`, 0, 100, chain), NOW)).verdict).toBe('admitted');
      expect((await ask(request('f10', 0, 70, chain), NOW)).refusedBy).toEqual({ limit: 'capacity' });
      expect((await ask({ ...request('f11', 0, 70, chain), asksAgain: true }, NOW)).verdict).toBe('limited');
      expect((await ask({ ...request('job', 0, 10, chain), ceiling: 0.7 }, NOW)).verdict).toBe('limited');
      expect((await ask(request('other', 1, 50, chain), NOW)).verdict).toBe('admitted');
      expect(await workOf(chain[0])).toEqual({ tokens: 1050, flow: { letIn: 1050, turnedAway: 70 } });
    });

    it('send the rest to the next of the chain, and count it as turned away only where that does not share the load', async () => {
      const [fleet, spare] = fleetChain(0, 0);
      const [even, other] = fleetChain(1, 1);
      await desk.setRooms([fleet, even].map((link) => ({ backend: nameOf(link), tokens: 100 })));
      for (const chain of [
        [fleet!, spare!],
        [even!, other!],
      ]) {
        await ask(request(`${nameOf(chain[0])}-1`, 0, 90, [chain[0]!]), NOW);
        const { loadedAt } = await ask(request(`${nameOf(chain[0])}-2`, 0, 40, chain), NOW);
        expect(loadedAt).toBe(nameOf(chain[1]));
      }
      expect((await workOf(fleet))!.flow).toEqual({ letIn: 90, turnedAway: 40 });
      expect((await workOf(even))!.flow).toEqual({ letIn: 90, turnedAway: 0 });
      expect(await desk.work([spare, other].map(nameOf))).toEqual([{ tokens: 40 }, { tokens: 40 }]);
    });

    it('forget the room, and the sums with it, when nobody renews it', async () => {
      const chain = fleetChain(0);
      await desk.setRooms([{ backend: nameOf(chain[0]), tokens: 10 }]);
      await ask(request('old', 0, 5, chain), NOW);
      const client = new Valkey(url());
      const life = await client.pttl(`room:{${nameOf(chain[0])}}`);
      await client.del(`room:{${nameOf(chain[0])}}`);
      client.disconnect();
      expect(life).toBeGreaterThan(50_000);
      expect(life).toBeLessThanOrEqual(60_000);
      expect((await ask(request('new', 0, 9000, chain), NOW)).verdict).toBe('admitted');
      expect(await workOf(chain[0])).toEqual({ tokens: 9005 });
    });
  });

  it('send idle backends requests by their shares, and busy ones by what they have in progress', async () => {
    const chain = newChain([9, 1], 0);
    const first: string[] = [];
    for (let i = 0; i < 200; i++) {
      const asked = request(`i${i}`, 0, 10, chain);
      const { loadedAt } = await ask(asked, NOW);
      first.push(loadedAt!);
      await finish(asked, loadedAt, NOW);
    }
    const share = first.filter((name) => name === chain[0]!.backend.name).length / first.length;
    expect(share).toBeGreaterThan(0.75);
    expect(share).toBeLessThan(0.99);
    const equal = newChain([1, 1], 0);
    const large = await ask(request('large', 0, 5000, equal), NOW);
    for (let i = 0; i < 20; i++) {
      expect((await ask(request(`s${i}`, 0, 100, equal), NOW)).loadedAt).not.toBe(large.loadedAt);
    }
  });

  it('forget what crashed functions had in progress', async () => {
    const chain = newChain([0]);
    await ask(request('crashed', 0, 900, chain), NOW);
    const later = NOW + 60_001;
    await ask(request('next', 1, 50, chain), later);
    expect(await scripts.fields(`load:{${chain[0]!.backend.name}}`, ['total', 'weights'])).toEqual(['50', '2']);
  });
});
