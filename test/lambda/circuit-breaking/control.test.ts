import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { Redis as Valkey } from 'ioredis';
import { control, type ControlPorts } from '../../../lambda/circuit-breaking/control';
import { InvalidRequest } from '../../../lambda/circuit-breaking/override';
import type { StateChange } from '../../../lambda/circuit-breaking/state-change';
import { BreakerDesk } from '../../../lambda/store/breaker-desk';
import { StoreConnection } from '../../../lambda/store/connection';
import { describeEachStore } from '../../store-servers';
import { policy } from '../policy';

const DAY_MS = 86_400_000;

describeEachStore('an operator', (url) => {
  let client: Valkey;
  let connection: StoreConnection;
  let runs = 0;

  beforeAll(() => {
    client = new Valkey(url());
    connection = new StoreConnection({
      url: url(),
      timeoutMs: 2000,
      connectTimeoutMs: 2000,
      onError: () => undefined,
    });
  });
  afterAll(() => {
    connection.close();
    client.disconnect();
  });

  /** Fresh names in each test: all share one store. */
  function desk() {
    runs += 1;
    const [gpu, backup] = [`gpu-${runs}`, `backup-${runs}`];
    const { backends } = policy({
      backends: [{ name: gpu }, { name: backup }],
      models: [{ name: 'llama', backends: [gpu, backup] }],
    });
    const books = new BreakerDesk((commands) => connection.trip(commands));
    const changes: StateChange[] = [];
    const ports: ControlPorts = {
      backends,
      read: (names) => books.read(names),
      force: (...order) => books.force(...order),
      announce: (told) => Promise.resolve(void changes.push(...told)),
    };
    const key = `breaker:{${gpu}}`;
    return { gpu, backup, key, changes, ask: (request: unknown) => control(request, ports) };
  }

  it('reads all breakers, those that nobody has called too, and changes nothing', async () => {
    const { gpu, backup, key, changes, ask } = desk();
    const openUntil = Date.now() + 30_000;
    await client.hset(key, { status: 'open', until: `${openUntil}.250000`, window: 'fsl', cooldown: openUntil });
    const closed = { status: 'closed', forced: 'none', window: { calls: 0, failed: 0, slow: 0 } };
    expect(await ask({})).toEqual({
      breakers: [
        {
          backend: gpu,
          status: 'open',
          openUntil: new Date(openUntil).toISOString(),
          cooldownUntil: new Date(openUntil).toISOString(),
          forced: 'none',
          window: { calls: 3, failed: 1, slow: 1 },
        },
        { backend: backup, ...closed },
      ],
    });
    expect(await ask({ backend: backup })).toEqual({ breakers: [{ backend: backup, ...closed }] });
    expect([await client.exists(`breaker:{${backup}}`), changes]).toEqual([0, []]);
  });

  it('holds a backend’s calls back for a time, on the clock of the store', async () => {
    const { gpu, key, changes, ask } = desk();
    const before = Date.now();
    const { breakers } = await ask({ backend: gpu, force: 'open', forSeconds: 600 });
    const until = Date.parse(breakers[0]!.forcedUntil!);
    expect(until).toBeGreaterThanOrEqual(before + 600_000 - 1);
    expect(until).toBeLessThanOrEqual(Date.now() + 600_000 + 1);
    expect(breakers[0]).toMatchObject({ backend: gpu, status: 'closed', forced: 'open' });
    expect(await client.hmget(key, 'forced', 'forced_until')).toEqual(['open', String(until)]);
    expect(changes).toEqual([
      { backend: gpu, from: 'closed', to: 'open', at: expect.any(Number), reason: 'operator', openUntil: until },
    ]);
    expect(await client.pttl(key)).toBeGreaterThan(DAY_MS);
  });

  it('lets all calls through until that is withdrawn, however long nobody calls', async () => {
    const { gpu, key, changes, ask } = desk();
    await client.hset(key, { status: 'open', until: String(Date.now() + 30_000), window: '' });
    await client.pexpire(key, 60_000);
    expect((await ask({ backend: gpu, force: 'closed' })).breakers[0]).toMatchObject({
      status: 'open',
      forced: 'closed',
    });
    expect(await client.hmget(key, 'forced', 'forced_until', 'status')).toEqual(['closed', '', 'open']);
    expect(await client.pttl(key)).toBe(-1);
    const { breakers } = await ask({ backend: gpu, force: 'none' });
    expect(breakers[0]).toMatchObject({ status: 'open', forced: 'none' });
    expect(await client.hmget(key, 'forced', 'forced_until')).toEqual(['', '']);
    const left = await client.pttl(key);
    expect(left).toBeGreaterThan(DAY_MS - 10_000);
    expect(left).toBeLessThanOrEqual(DAY_MS);
    expect(changes.map(({ from, to }) => `${from} ${to}`)).toEqual(['open closed', 'closed open']);
  });

  it('may say the same again for longer, which is told too', async () => {
    const { gpu, changes, ask } = desk();
    await ask({ backend: gpu, force: 'open', forSeconds: 1 });
    await ask({ backend: gpu, force: 'open', forSeconds: 100 });
    expect(changes.map(({ from, to }) => `${from} ${to}`)).toEqual(['closed open', 'open open']);
    expect(changes[1]!.openUntil! - changes[0]!.openUntil!).toBeGreaterThan(98_000);
  });

  it('is refused for a backend that the policy does not have, and nothing is written', async () => {
    const { ask, changes } = desk();
    await expect(ask({ backend: 'none-such', force: 'open' })).rejects.toThrow(InvalidRequest);
    expect([await client.exists('breaker:{none-such}'), changes]).toEqual([0, []]);
  });
});
