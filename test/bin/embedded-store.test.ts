import { createConnection } from 'node:net';
import { once } from 'node:events';
import { setTimeout as pause } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { Redis } from 'ioredis';
import { SCRIPTS } from '../../lambda/store/scripts';
import { type EmbeddedStore, startEmbeddedStore } from '../../bin/start/embedded-store';

describe('embedded store', () => {
  let store: EmbeddedStore;
  let client: Redis;

  beforeEach(async () => {
    store = await startEmbeddedStore();
    client = new Redis(store.url);
  });

  afterEach(async () => {
    await client.quit();
    await store.close();
  });

  it('is ready for a Valkey client and answers its ping', async () => {
    expect(await client.ping()).toBe('PONG');
    expect(client.status).toBe('ready');
  });

  it('keeps values byte for byte', async () => {
    const value = Buffer.from([0, 255, 13, 10, 128, 0]);
    expect(await client.set('bytes', value)).toBe('OK');
    expect(await client.getBuffer('bytes')).toEqual(value);
    await client.hset('hash', 'field', value);
    expect(await client.hmgetBuffer('hash', 'field', 'none')).toEqual([value, null]);
  });

  it('keeps a large value that arrives in many pieces', async () => {
    const value = 'data: {"choices":[]}\n\n'.repeat(50_000);
    await client.set('large', value);
    expect(await client.strlen('large')).toBe(value.length);
    expect(await client.getrange('large', value.length - 9, -1)).toBe(value.slice(-9));
  });

  it('answers pipelined commands in order, errors among them', async () => {
    const replies = await client
      .pipeline()
      .set('n', 1)
      .incr('n')
      .call('nonsense')
      .hset('h', 'a', '1', 'b', '2')
      .hgetall('h')
      .get('none')
      .expire('n', 60)
      .pttl('n')
      .exec();
    const values = replies!.map(([error, value]) => error?.message ?? value);
    const unknown = "ERR unknown command 'nonsense', with args beginning with: ";
    expect(values.slice(0, 7)).toEqual(['OK', 2, unknown, 2, { a: '1', b: '2' }, null, 1]);
    expect(values[7]).toBeGreaterThan(59_000);
  });

  it('runs a script by its digest once it knows it, and says so while it does not', async () => {
    const script =
      "redis.call('HSET', KEYS[1], 'field', ARGV[1]) return {redis.call('HGET', KEYS[1], 'field'), 7, false}";
    const sha = String(await client.script('LOAD', script));
    expect(await client.evalsha(sha, 1, 'key', 'grüße')).toEqual(['grüße', 7, null]);
    expect(await client.script('EXISTS', sha, '0'.repeat(40))).toEqual([1, 0]);
    await client.script('FLUSH');
    await expect(client.evalsha(sha, 1, 'key', 'x')).rejects.toThrow('NOSCRIPT');
    await client.eval(script, 1, 'key', 'x');
    expect(await client.evalsha(sha, 1, 'key', 'y')).toEqual(['y', 7, null]);
  });

  it("gives scripts the machine's clock", async () => {
    const [seconds] = (await client.eval("return redis.call('TIME')", 0)) as string[];
    expect(Math.abs(Number(seconds) - Date.now() / 1000)).toBeLessThan(2);
  });

  it('hands scripts any bytes, and takes them back', async () => {
    const value = Buffer.from(Array.from({ length: 256 }, (_, i) => i));
    const script = "redis.call('HSET', KEYS[1], ARGV[1], ARGV[1]) return redis.call('HGET', KEYS[1], ARGV[1])";
    expect(await client.callBuffer('EVAL', script, 1, value, value)).toEqual(value);
    expect(await client.hgetBuffer(value, value)).toEqual(value);
  });

  it('runs a script for many clients in the time that a request has, and not one by one for its words alone', async () => {
    const script = SCRIPTS.claim;
    const clients = Array.from({ length: 100 }, () => new Redis(store.url));
    await client.script('LOAD', script.text);
    const startedAt = performance.now();
    await Promise.all(clients.map((each, i) => each.evalsha(script.sha1, 1, `breaker:{${i}}`, 'id', 1000, 1, 1000)));
    // A compilation for each would take a second and more.
    expect(performance.now() - startedAt).toBeLessThan(800);
    for (const each of clients) each.disconnect();
  });

  it('ends a key at its time, whether or not anyone asks for it', async () => {
    await client.set('soon', 'x', 'PX', 30);
    await client.hset('later', 'f', 'x');
    await client.pexpire('later', 30);
    expect(await client.pttl('soon')).toBeGreaterThan(0);
    await pause(50);
    expect(await client.get('soon')).toBeNull();
    expect(await client.dbsize()).toBe(0);
    expect(await client.hset('later', 'g', 'y')).toBe(1);
    expect(await client.ttl('later')).toBe(-1);
  });

  it("turns a script's error into an error reply, and serves on", async () => {
    await expect(client.eval("error('boom')", 0)).rejects.toThrow(/^ERR .*boom/);
    await expect(client.eval("return ('x'):rep(1e10)", 0)).rejects.toThrow(/^ERR /);
    await expect(client.eval('local t = {} t[1] = t return t', 0)).rejects.toThrow('reached lua stack limit');
    await expect(client.eval('local function f() return f() + 1 end return f()', 0)).rejects.toThrow('stack overflow');
    expect(await client.ping()).toBe('PONG');
  });

  it('refuses what it does not do, rather than do it wrongly', async () => {
    await expect(client.call('MULTI')).rejects.toThrow("unknown command 'MULTI'");
    await expect(client.select(3)).rejects.toThrow('out of range');
    await expect(client.call('SCRIPT', 'DEBUG', 'YES')).rejects.toThrow('unknown subcommand');
  });

  it('ends a connection that breaks the protocol, and only that one', async () => {
    const socket = createConnection({ port: Number(new URL(store.url).port), host: '127.0.0.1' });
    const chunks: Buffer[] = [];
    socket.on('data', (chunk: Buffer) => chunks.push(chunk));
    socket.write('GET / HTTP/1.1\r\n\r\n');
    await once(socket, 'close');
    expect(Buffer.concat(chunks).toString()).toMatch(/^-ERR Protocol error/);
    expect(await client.ping()).toBe('PONG');
  });

  it('shares nothing with another store of the same process', async () => {
    const other = await startEmbeddedStore();
    const otherClient = new Redis(other.url);
    await client.set('key', 'mine');
    expect(await otherClient.get('key')).toBeNull();
    await otherClient.quit();
    await other.close();
  });
});
