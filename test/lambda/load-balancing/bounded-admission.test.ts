import { afterEach, beforeEach, expect, it } from '@jest/globals';
import type { FleetLoad } from '../../../lambda/auto-scaling/fleet-load';
import type { ScaledFleet } from '../../../lambda/auto-scaling/scaled-fleet';
import { SignalRound } from '../../../lambda/auto-scaling/signal-round';
import { StoreConnection } from '../../../lambda/store/connection';
import { LoadDesk } from '../../../lambda/store/load-desk';
import { describeEachStore } from '../../store-servers';
import { policy } from '../policy';
import { RunningGateway } from '../running-gateway';
import { HEALTHY, type StubBackend, startBackend } from '../stub-backend';

/** Some 110 tokens with what is reserved for the answer; an instance carries four, of which 92 % are let in. */
const CHAT = { model: 'llama', messages: [{ role: 'user', content: 'Hello' }], max_tokens: 100 };
const TOKENS_PER_INSTANCE = 480;

describeEachStore('a gateway and the scaling signal of a rated fleet', (url) => {
  let runs = 0;
  let fleet: StubBackend;
  let spare: StubBackend;
  let gateway: RunningGateway;
  let connection: StoreConnection;
  let answer: () => void;
  let round: (inService: number) => Promise<FleetLoad>;

  beforeEach(async () => {
    runs += 1;
    const name = `rated-${runs}`;
    const held = new Promise<void>((resolve) => (answer = resolve));
    fleet = await startBackend((response, call) => void held.then(() => HEALTHY(response, call)));
    spare = await startBackend();
    const settings = policy({
      backends: [{ name }, { name: 'spare', url: spare.url }],
      models: [
        { name: 'llama', backends: [name] },
        { name: 'with-spare', backends: [name, 'spare'] },
      ],
    });
    gateway = new RunningGateway(url(), settings, { [name]: fleet, spare });
    connection = new StoreConnection({
      ...{ url: url(), timeoutMs: 5000, connectTimeoutMs: 5000 },
      onError: () => undefined,
    });
    const desk = new LoadDesk((commands) => connection.trip(commands));
    const scaled: ScaledFleet = {
      ...{ backend: name, group: 'group', gpu: {} as never },
      rating: {
        ...{ tokensPerInstance: TOKENS_PER_INSTANCE, drainSeconds: 60, kvCacheTarget: 80, gpuTarget: 70 },
        overload: 'turnsAway',
      },
    };
    let now = Date.now();
    let size = 0;
    let load: FleetLoad | undefined;
    const signal = new SignalRound([scaled], {
      work: (backends) => desk.work(backends),
      setRooms: (rooms) => desk.setRooms(rooms),
      gauges: () => Promise.resolve({ fleets: [{}] }),
      groupSize: () => Promise.resolve({ inService: size, pending: 0 }),
      publish: () => Promise.resolve(),
      told: (_, __, told) => (load = told),
      warn: (source, error) => {
        throw new Error(source, { cause: error });
      },
      now: () => now,
    });
    round = async (inService) => {
      [size, now] = [inService, now + 10_000];
      await signal.run();
      return load!;
    };
  });
  afterEach(async () => {
    answer();
    gateway.close();
    connection.close();
    await Promise.all([fleet.close(), spare.close()]);
  });

  /** Sends so many at once, and waits until those that are let in are under way. */
  async function send(requests: number, model = 'llama', headers: Record<string, string> = {}) {
    const before = fleet.calls.length;
    const answers = Array.from({ length: requests }, () =>
      gateway.send({ ...CHAT, model }, { tenant: `rated-${runs}`, headers }).then((received) => {
        refused += received.status === 429 ? 1 : 0;
        return received;
      }),
    );
    let refused = 0;
    while (fleet.calls.length - before + refused + spare.calls.length < requests) {
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    return { answers: Promise.all(answers) };
  }

  it('lets in what the instances carry, tells the others when to come, and more once there are more instances', async () => {
    await round(1);
    const first = await send(6);
    expect(fleet.calls).toHaveLength(4);
    await round(2);
    const more = await send(6);
    expect(fleet.calls).toHaveLength(8);
    answer();
    const received = [...(await first.answers), ...(await more.answers)];
    const refused = received.filter(({ status }) => status === 429);
    expect(refused).toHaveLength(4);
    expect(refused[0]!.headers['retry-after']).toBe('1');
    expect(JSON.parse(refused[0]!.text)).toMatchObject({ error: { code: 'rate_limit_exceeded' } });
  });

  it('sends the rest to the next backend, and asks for the instances that it would have needed', async () => {
    for (let i = 0; i < 2; i++) expect((await round(1)).instances).toBe(0);
    const sent = await send(8, 'with-spare');
    expect([fleet.calls.length, spare.calls.length]).toEqual([4, 4]);
    let instances = 0;
    for (let i = 0; i < 30; i++) ({ instances } = await round(1));
    // As much was turned away as was let in: twice what is in progress, on the bend, and 4.5 % free.
    expect(instances).toBeGreaterThan(1.9);
    expect(instances).toBeLessThan(2.2);
    answer();
    const received = await sent.answers;
    expect(received.filter(({ headers }) => headers['x-served-by'] === 'spare')).toHaveLength(4);
  });

  it('counts nobody twice who says that he asks again', async () => {
    for (let i = 0; i < 2; i++) await round(1);
    await send(4);
    for (let i = 0; i < 5; i++) await send(1, 'llama', { 'x-stainless-retry-count': '1' });
    for (let i = 0; i < 30; i++) expect((await round(1)).instances).toBeLessThan(1.1);
  });
});
