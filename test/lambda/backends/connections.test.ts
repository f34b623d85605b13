import { afterEach, describe, expect, it, jest } from '@jest/globals';
import { createServer as createHttpsServer } from 'node:https';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { type BackendAddress, httpBackends } from '../../../lambda/backends/http-backends';
import type { BackendAnswer } from '../../../lambda/gateway/backend-port';
import { selfSignedCertificate } from '../self-signed-certificate';
import { backend } from '../policy';

const closing: (() => void)[] = [];
afterEach(() => {
  for (const close of closing.splice(0)) close();
  jest.restoreAllMocks();
});

/** What a server does with one request: its number on its connection, the connection's number, and the whole of it. */
type Serve = (socket: Socket, at: { request: number; connection: number; text: string }) => void;

/** A server on bare sockets, which may do what no HTTP library would. */
async function startRaw(serve: Serve): Promise<{ url: string; connections: () => number }> {
  let connections = 0;
  const server: Server = createServer((socket) => {
    const connection = ++connections;
    let [request, received] = [0, ''];
    closing.push(() => socket.destroy());
    socket
      .on('error', () => undefined)
      .on('data', (bytes: Buffer) => {
        received += bytes.toString('latin1');
        const [, length] = /content-length: (\d+)\r\n\r\n/.exec(received) ?? [];
        if (length === undefined || received.length < received.indexOf('\r\n\r\n') + 4 + Number(length)) return;
        const text = Buffer.from(received, 'latin1').toString();
        received = '';
        serve(socket, { request: ++request, connection, text });
      });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  closing.push(() => server.close());
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, connections: () => connections };
}

function caller(address: BackendAddress, timeouts = {}) {
  const call = httpBackends({ first: address });
  return ({ body = '{}', headers = {}, signal = new AbortController().signal } = {}) =>
    call({ backend: backend({ timeouts }), path: '/v1/x', body, headers, firstByteMs: 1000, signal });
}

async function textOf({ body }: BackendAnswer): Promise<string> {
  let text = '';
  for await (const part of body) text += part.toString();
  return text;
}

const answer = (text: string, fields = '') =>
  `HTTP/1.1 200 OK\r\ncontent-length: ${text.length}\r\n${fields}\r\n${text}`;

describe('a request', () => {
  it('is written as it was meant, with the length of its bytes', async () => {
    let seen = '';
    const { url } = await startRaw((socket, { text }) => {
      seen = text;
      socket.write(answer('ok'));
    });
    const call = caller({ url: `${url.replace('//', '//me:p%20w@')}/base/` });
    expect(await textOf(await call({ body: '{"a":"€"}', headers: { 'x-request-id': 'r 1' } }))).toBe('ok');
    const authorization = `Basic ${Buffer.from('me:p w').toString('base64')}`;
    expect(seen).toBe(
      `POST /base/v1/x HTTP/1.1\r\nhost: ${new URL(url).host}\r\nauthorization: ${authorization}\r\n` +
        'x-request-id: r 1\r\ncontent-length: 11\r\n\r\n{"a":"€"}',
    );
  });

  it.each([
    ['a line end in a value', { 'x-a': 'b\r\nhost: evil' }],
    ['a line end in a name', { 'x-a\r\nhost': 'evil' }],
    ['a null byte', { 'x-a': 'b\0' }],
    ['a colon in a name', { 'x-a:': 'b' }],
    ['no name', { '': 'b' }],
    ['what is no ASCII', { 'x-a': 'ü' }],
  ])('is not sent with %s in a header', async (_, headers) => {
    const { url, connections } = await startRaw((socket) => socket.write(answer('ok')));
    await expect(caller({ url })({ headers })).rejects.toThrow(TypeError);
    expect(connections()).toBe(0);
  });
});

describe('a kept connection', () => {
  it('that was closed as its next call arrived is replaced by a new one, and no other kept one is tried', async () => {
    const { url, connections } = await startRaw((socket, { request, connection }) => {
      if (connection <= 3 && request === 2) socket.destroy();
      else setTimeout(() => socket.write(answer(`${connection}`)), 20);
    });
    const call = caller({ url });
    const first = await Promise.all([call(), call(), call()]);
    expect((await Promise.all(first.map(textOf))).sort()).toEqual(['1', '2', '3']);
    expect(await textOf(await call())).toBe('4');
    expect(connections()).toBe(4);
  });

  it('that breaks off once the answer has begun is not called again', async () => {
    let calls = 0;
    const { url } = await startRaw((socket, { request }) => {
      calls += 1;
      if (request === 1) socket.write(answer('ok'));
      else socket.end('HTTP/1.1 200 OK\r\ncontent-len');
    });
    const call = caller({ url });
    await textOf(await call());
    await expect(call()).rejects.toMatchObject({ kind: 'broken' });
    expect(calls).toBe(2);
  });

  it('is left where the server closes it, then or by and by', async () => {
    const { url, connections } = await startRaw((socket, { connection }) => {
      const close = connection === 1 ? 'connection: close\r\n' : '';
      socket.write(answer('ok', close));
      if (connection === 2) setTimeout(() => socket.end(), 20);
    });
    const call = caller({ url });
    for (let i = 0; i < 3; i++) {
      expect(await textOf(await call())).toBe('ok');
      await pause(50);
    }
    expect(connections()).toBe(3);
  });

  it('is used for as long as the server said, and no longer', async () => {
    const { url, connections } = await startRaw((socket) => socket.write(answer('ok', 'keep-alive: timeout=5\r\n')));
    const call = caller({ url });
    const started = Date.now();
    for (const after of [0, 3000, 6500, 10_600]) {
      jest.spyOn(Date, 'now').mockReturnValue(started + after);
      await textOf(await call());
    }
    expect(connections()).toBe(2);
  });

  it.each([
    ['sent more than its answer', (socket: Socket) => socket.write(`${answer('ok')}HTTP/1.1 200 OK\r\n`)],
    [
      'spoke unasked',
      (socket: Socket) => (socket.write(answer('ok')), setTimeout(() => socket.write(answer('evil')), 20)),
    ],
  ])('that %s is not used again', async (_, serve) => {
    const { url, connections } = await startRaw(serve);
    const call = caller({ url });
    expect(await textOf(await call())).toBe('ok');
    await pause(50);
    expect(await textOf(await call())).toBe('ok');
    expect(connections()).toBe(2);
  });

  it('goes on after an answer for whose reader it was held up to the last byte', async () => {
    const size = 256 * 1024;
    const { url, connections } = await startRaw((socket, { request }) =>
      socket.write(answer(request === 1 ? 'x'.repeat(size) : 'second')),
    );
    const call = caller({ url });
    const first = await call();
    await pause(50);
    expect((await textOf(first)).length).toBe(size);
    expect(await textOf(await call())).toBe('second');
    expect(connections()).toBe(1);
  });
});

describe('an answer', () => {
  it.each([
    ['garbage', '\0\0no HTTP\r\n\r\n'],
    ['half of a head', 'HTTP/1.1 200 OK\r\ncontent-le'],
    ['nothing', ''],
    ['two lengths', 'HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab'],
  ])('that is %s is a broken one', async (_, text) => {
    const { url } = await startRaw((socket) => socket.end(text));
    await expect(caller({ url })()).rejects.toMatchObject({ name: 'BackendFailure', kind: 'broken' });
  });

  it.each([
    ['its length', 'HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nabc'],
    ['its last chunk', 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n'],
  ])('that ends before %s is broken, after what has come', async (_, text) => {
    const { url } = await startRaw((socket) => socket.end(text));
    const { body } = await caller({ url })();
    const parts: string[] = [];
    const all = async () => {
      for await (const part of body) parts.push(part.toString());
    };
    await expect(all()).rejects.toMatchObject({ kind: 'broken' });
    expect(parts).toEqual(['abc']);
  });

  it('that the close of the connection ends is whole', async () => {
    const { url } = await startRaw((socket) => socket.end('HTTP/1.0 200 OK\r\n\r\nabc'));
    expect(await textOf(await caller({ url })())).toBe('abc');
  });

  it('may come before the request has been read, and after interim ones', async () => {
    const { url } = await startRaw(() => undefined);
    const early = createServer((socket) => {
      closing.push(() => socket.destroy());
      socket
        .once('data', () => socket.write(`HTTP/1.1 103 Early Hints\r\nlink: a\r\n\r\n${answer('too large')}`))
        .pause();
      socket.resume();
    });
    await new Promise<void>((resolve) => early.listen(0, '127.0.0.1', resolve));
    closing.push(() => early.close());
    const earlyUrl = url.replace(/\d+$/, String((early.address() as AddressInfo).port));
    expect(await textOf(await caller({ url: earlyUrl })({ body: 'x'.repeat(6_000_000) }))).toBe('too large');
  });

  it('waits at the backend while its reader is slow', async () => {
    let server: Socket | undefined;
    const size = 64 * 1024 * 1024;
    const { url } = await startRaw((socket) => {
      server = socket;
      socket.write(`HTTP/1.1 200 OK\r\ncontent-length: ${size}\r\n\r\n`);
      socket.write(Buffer.alloc(size, 'x'));
    });
    const given = await caller({ url })();
    await pause(200);
    expect(server!.writableLength).toBeGreaterThan(size / 2);
    let bytes = 0;
    for await (const part of given.body) bytes += part.length;
    expect(bytes).toBe(size);
    given.discard();
  });

  it('that is given up takes its connection with it', async () => {
    let closed: () => void = () => undefined;
    const gone = new Promise<void>((resolve) => (closed = resolve));
    const { url, connections } = await startRaw((socket) => {
      socket.once('close', closed).write('HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nabc');
    });
    const call = caller({ url });
    for await (const part of (await call()).body) {
      expect(part.toString()).toBe('abc');
      break;
    }
    await gone;
    (await call()).discard();
    expect(connections()).toBe(2);
  });

  it('is not waited for by a client that was gone before the call', async () => {
    const { url } = await startRaw(() => undefined);
    const client = new AbortController();
    client.abort();
    await expect(caller({ url })({ signal: client.signal })).rejects.toMatchObject({ kind: 'abandoned' });
  });
});

describe('a connection over TLS', () => {
  const name = 'fleet.internal';
  const { certificate, privateKey } = selfSignedCertificate({ serverName: name, validityDays: 1, now: new Date() });

  async function startTls(): Promise<{ url: string; sessions: boolean[]; names: unknown[] }> {
    const [sessions, names]: [boolean[], unknown[]] = [[], []];
    const server = createHttpsServer({ cert: certificate, key: privateKey }, (request, response) => {
      request.resume().once('end', () => response.writeHead(200, { connection: 'close' }).end('secret'));
    });
    server.on('secureConnection', (socket) => {
      sessions.push(socket.isSessionReused());
      names.push((socket as unknown as { servername: unknown }).servername);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    closing.push(() => server.close());
    return { url: `https://127.0.0.1:${(server.address() as AddressInfo).port}`, sessions, names };
  }

  it('asks for its server by name, and takes up its session the next time', async () => {
    const { url, sessions, names } = await startTls();
    const call = caller({ url, serverName: name, ca: certificate });
    for (let i = 0; i < 3; i++) expect(await textOf(await call())).toBe('secret');
    expect(sessions).toEqual([false, true, true]);
    expect(names).toEqual([name, name, name]);
  });

  it('is not made to a server of another name, or whom nobody trusts', async () => {
    const { url } = await startTls();
    const refused = { name: 'BackendFailure', kind: 'connect' };
    await expect(caller({ url, serverName: 'other.internal', ca: certificate })()).rejects.toMatchObject(refused);
    await expect(caller({ url, ca: certificate })()).rejects.toMatchObject(refused);
    await expect(caller({ url, serverName: name })()).rejects.toMatchObject(refused);
  });

  it('is waited for no longer than a connection may take', async () => {
    const { url } = await startRaw(() => undefined);
    const call = caller({ url: url.replace('http:', 'https:') }, { connectMs: 40 });
    await expect(call()).rejects.toMatchObject({ kind: 'timeout', message: 'no connection within 40 ms' });
  });
});
