import { afterEach, describe, expect, it } from '@jest/globals';
import { createServer, type AddressInfo, type Socket } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { Redis as Valkey } from 'ioredis';
import { StoreLost } from '../../../lambda/gateway/request-store';
import { StoreConnection } from '../../../lambda/store/connection';
import { script } from '../../../lambda/store/scripts';
import { describeEachStore, hasRealStore, startRealStore } from '../../store-servers';
import { policy } from '../policy';
import { RunningGateway } from '../running-gateway';
import { startBackend } from '../stub-backend';

const ECHO = { script: script('return ARGV[1]'), keys: ['k'], args: ['hello'] };
const connections: StoreConnection[] = [];

function connect(url: string, timeoutMs = 200): StoreConnection {
  const connection = new StoreConnection({ url, timeoutMs, connectTimeoutMs: 500, onError: () => undefined });
  connections.push(connection);
  return connection;
}

afterEach(() => {
  for (const connection of connections.splice(0)) connection.close();
});

describeEachStore('a trip', (url) => {
  it('runs scripts that the store does not know, beside those that it does', async () => {
    const connection = connect(url());
    const fresh = { ...ECHO, script: script(`return ARGV[1] .. '${Math.random()}'`) };
    const read = { read: 'hmget' as const, key: 'none', fields: ['a'] };
    const replies = await connection.trip([ECHO, read, fresh]);
    expect(replies).toEqual(['hello', [null], expect.stringMatching(/^hello0/)]);
  });

  it('runs any other command, with bytes for arguments and replies where they are wanted', async () => {
    const connection = connect(url());
    const bytes = Buffer.from([0, 255, 13, 10, 128]);
    const key = `bytes-${Math.random()}`;
    const replies = await connection.trip([
      { call: 'SET', args: [key, bytes] },
      { call: 'GET', args: [key], asBytes: true },
      { call: 'STRLEN', args: [key] },
      { call: 'GET', args: ['none'], asBytes: true },
    ]);
    expect(replies).toEqual(['OK', bytes, 5, null]);
  });

  it('keeps trips apart that are sent at the same time', async () => {
    const connection = connect(url(), 5000);
    const own = Array.from({ length: 40 }, (_, i) => connection.trip([{ ...ECHO, args: [`${i}`] }, ECHO]));
    expect(await Promise.all(own)).toEqual(own.map((_, i) => [`${i}`, 'hello']));
  });

  it('fails as a lost store where a script fails', async () => {
    const broken = { ...ECHO, script: script('return nothing.here') };
    await expect(connect(url()).trip([broken])).rejects.toThrow(StoreLost);
  });
});

describe('a store that cannot be reached', () => {
  it('holds a request no longer than the time-out', async () => {
    const sockets: Socket[] = [];
    const silent = createServer((socket) => sockets.push(socket));
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
    const connection = connect(`redis://127.0.0.1:${(silent.address() as AddressInfo).port}`, 50);
    await pause(100);
    const started = performance.now();
    await expect(connection.trip([ECHO])).rejects.toThrow('no answer within 50 ms');
    expect(performance.now() - started).toBeLessThan(150);
    for (const socket of sockets) socket.destroy();
    silent.close();
  });

  it('is lost at once where nobody listens', async () => {
    await expect(connect('redis://127.0.0.1:1').trip([ECHO])).rejects.toThrow(StoreLost);
  });

  it('is served without, by local limits or by refusing, as the policy says', async () => {
    const backend = await startBackend();
    const plans = [{ name: 'standard', requestsPerMinute: 4, tokensPerMinute: 60_000, parallelRequests: 2 }];
    const chat = { model: 'llama', messages: [{ role: 'user', content: 'Hello' }] };
    const local = new RunningGateway('redis://127.0.0.1:1', policy({ plans, cache: {} }), { first: backend });
    const statuses = [await local.send(chat), await local.send(chat), await local.send(chat)];
    expect(statuses.map(({ status }) => status)).toEqual([200, 200, 429]);
    expect(statuses[0]!.record.storeLost).toBe(true);
    const strict = new RunningGateway('redis://127.0.0.1:1', policy({ onStoreLoss: 'reject' as never }), {});
    expect((await strict.send(chat)).status).toBe(503);
    local.close();
    strict.close();
    await backend.close();
  });

  (hasRealStore ? it : it.skip)('is found again after its restart, with its scripts forgotten', async () => {
    const before = await startRealStore();
    const connection = connect(before.url);
    expect(await connection.trip([ECHO])).toEqual(['hello']);
    await before.close();
    await expect(connection.trip([ECHO])).rejects.toThrow(StoreLost);
    const after = await startRealStore(before.port);
    for (let i = 0; i < 60 && (await connection.trip([ECHO]).catch(() => undefined)) === undefined; i++)
      await pause(50);
    expect(await connection.trip([ECHO])).toEqual(['hello']);
    const other = new Valkey(after.url);
    await other.script('FLUSH');
    other.disconnect();
    expect(await connection.trip([ECHO])).toEqual(['hello']);
    connection.close();
    await after.close();
  });
});
