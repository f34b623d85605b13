import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { setTimeout as pause } from 'node:timers/promises';
import { backendAddresses } from '../../../lambda/backends/environment';
import { httpBackends } from '../../../lambda/backends/http-backends';
import type { BackendAnswer } from '../../../lambda/gateway/backend-port';
import { backend } from '../policy';
import { HEALTHY, type StubBackend, startBackend } from '../stub-backend';

describe('a call to a backend', () => {
  let stub: StubBackend;
  const ports = new Set<number | undefined>();
  beforeEach(async () => {
    ports.clear();
    stub = await startBackend((response, call) => {
      ports.add(call.request.socket.remotePort);
      HEALTHY(response, call);
    });
  });
  afterEach(() => stub.close());

  const caller = (timeouts = {}) => {
    const call = httpBackends({ first: { url: `${stub.url}/base` } });
    return (signal = new AbortController().signal, firstByteMs = 500) =>
      call({ backend: backend({ timeouts }), path: '/v1/x', body: '{}', headers: {}, firstByteMs, signal });
  };
  const textOf = async ({ body }: BackendAnswer) => {
    let text = '';
    for await (const part of body) text += part.toString();
    return text;
  };

  it('keeps its connection for the next', async () => {
    const call = caller();
    for (let i = 0; i < 5; i++) expect(await textOf(await call())).toContain('Hi!');
    expect(ports.size).toBe(1);
  });

  it('ends at each of its time limits', async () => {
    stub.behave = () => undefined;
    await expect(caller()(undefined, 30)).rejects.toMatchObject({ kind: 'timeout', message: /first byte within 30/ });
    stub.behave = (response) => response.write('x');
    const answer = await caller({ totalMs: 60 })();
    await expect(textOf(answer)).rejects.toMatchObject({ kind: 'timeout', message: /no end .* 60/ });
  });

  it('ends where an answer falls silent after its beginning, however long it may go on', async () => {
    stub.behave = (response) => {
      let chunks = 0;
      const timer = setInterval(() => {
        response.write('x');
        if (++chunks === 8) clearInterval(timer);
      }, 20);
    };
    const answer = await caller({ idleMs: 90, totalMs: 5000 })();
    const begun = performance.now();
    const parts: string[] = [];
    const read = async () => {
      for await (const part of answer.body) parts.push(part.toString());
    };
    await expect(read()).rejects.toMatchObject({ kind: 'timeout', message: 'nothing more within 90 ms' });
    expect(parts.join('')).toBe('x'.repeat(8));
    expect(performance.now() - begun).toBeGreaterThan(7 * 20 + 90 - 10);
    expect(performance.now() - begun).toBeLessThan(1000);
  });

  it('does not blame the backend for the silence of a slow reader', async () => {
    const size = 8 * 1024 * 1024;
    stub.behave = (response) => response.end(Buffer.alloc(size, 'x'));
    const answer = await caller({ idleMs: 40, totalMs: 5000 })();
    await pause(200);
    let bytes = 0;
    for await (const part of answer.body) bytes += part.length;
    expect(bytes).toBe(size);
  });

  it('is broken off within 100 ms when the client is gone', async () => {
    stub.behave = () => undefined;
    const client = new AbortController();
    const call = caller()(client.signal);
    setTimeout(() => client.abort(), 30);
    await expect(call).rejects.toMatchObject({ kind: 'abandoned' });
    const aborted = performance.now();
    await stub.brokenOff;
    expect(performance.now() - aborted).toBeLessThan(100);
  });

  it('tells where nobody listens, and of whom no address is known', async () => {
    await stub.close();
    await expect(caller()()).rejects.toMatchObject({ kind: 'connect' });
    const signal = new AbortController().signal;
    const unknown = { backend: backend(), path: '/', body: '', headers: {}, firstByteMs: 1, signal };
    await expect(httpBackends({})(unknown)).rejects.toMatchObject({ kind: 'connect' });
  });
});

describe('the addresses of backends', () => {
  it('are the policy’s, unless the deployment knows better', () => {
    const backends = [
      { ...backend(), url: 'http://policy' },
      { ...backend(), name: 'other', url: 'http://other' },
      { ...backend(), name: 'none' },
    ];
    const given = { BACKENDS: '{"first":{"url":"https://fleet","serverName":"s","ca":"c"}}' };
    expect(backendAddresses(given, backends)).toEqual({
      first: { url: 'https://fleet', serverName: 's', ca: 'c' },
      other: { url: 'http://other' },
    });
  });
});
