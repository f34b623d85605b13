import { afterEach, describe, expect, it } from '@jest/globals';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { createServer as createTlsServer } from 'node:tls';
import { selfSignedCertificate } from '../self-signed-certificate';
import type { Reply } from '../../../lambda/store/resp';
import { type Request, StoreSocket } from '../../../lambda/store/store-socket';

const closing: (() => void)[] = [];
afterEach(() => {
  for (const close of closing.splice(0)) close();
});

/** A server that hands each connection to the test, with all that it has received so far. */
async function serve(serveOne: (socket: Socket, received: () => string) => void, tls?: { key: string; cert: string }) {
  const onConnection = (socket: Socket) => {
    let text = '';
    socket.on('error', () => undefined).on('data', (bytes) => (text += bytes.toString()));
    closing.push(() => socket.destroy());
    serveOne(socket, () => text);
  };
  const server: Server = tls ? createTlsServer(tls, onConnection) : createServer(onConnection);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  closing.push(() => server.close());
  return (server.address() as AddressInfo).port;
}

interface Opened {
  readonly socket: StoreSocket;
  /** Settles when it is open; fails when it closes before. */
  readonly opened: Promise<void>;
  readonly closed: Promise<Error>;
}

function open(
  port: number,
  settings: { greeting?: Request[]; silenceMs?: number; ca?: string; tls?: boolean } = {},
): Opened {
  let tellClosed: (reason: Error) => void = () => undefined;
  const closed = new Promise<Error>((resolve) => (tellClosed = resolve));
  let socket: StoreSocket | undefined;
  const opened = new Promise<void>((resolve, reject) => {
    socket = new StoreSocket(
      { host: settings.tls ? 'localhost' : '127.0.0.1', port, tls: settings.tls ?? false },
      { connectTimeoutMs: 300, silenceMs: 200, greeting: [], ...settings },
      resolve,
      (reason) => {
        tellClosed(reason);
        reject(reason);
      },
    );
  });
  opened.catch(() => undefined);
  closing.push(() => socket?.close());
  return { socket: socket!, opened, closed };
}

const request = (...command: string[]): Request => ({ command, asBytes: false });

function send(socket: StoreSocket, ...commands: Request[]): Promise<Reply[]> {
  return new Promise((resolve, reject) => socket.send(commands, { answered: resolve, lost: reject }));
}

describe('a connection to the store', () => {
  it('sends what belongs to one turn in one write, and gives each its own replies', async () => {
    const writes: string[] = [];
    const port = await serve((peer) =>
      peer.on('data', (bytes) => {
        writes.push(bytes.toString());
        peer.write('+one\r\n:2\r\n');
        setTimeout(() => peer.write('$5\r\nth'), 10);
        setTimeout(() => peer.write('ree\r\n'), 20);
      }),
    );
    const { socket, opened } = open(port);
    await opened;
    const both = await Promise.all([send(socket, request('A'), request('B')), send(socket, request('C', 'ä'))]);
    expect(both).toEqual([['one', 2], ['three']]);
    expect(writes).toEqual(['*1\r\n$1\r\nA\r\n*1\r\n$1\r\nB\r\n*2\r\n$1\r\nC\r\n$2\r\nä\r\n']);
    expect(await send(socket)).toEqual([]);
  });

  it('signs in before all else, and is not open before the store has agreed', async () => {
    let agree: () => void = () => undefined;
    let received: () => string = () => '';
    const port = await serve((peer, text) => {
      received = text;
      agree = () => peer.write('+OK\r\n+OK\r\n');
    });
    const { socket, opened } = open(port, { greeting: [request('auth', 'me', 'secret'), request('select', '2')] });
    while (received() === '') await pause(5);
    expect(socket.usable).toBe(false);
    await expect(send(socket, request('A'))).rejects.toThrow('not connected');
    expect(received()).toBe('*3\r\n$4\r\nauth\r\n$2\r\nme\r\n$6\r\nsecret\r\n*2\r\n$6\r\nselect\r\n$1\r\n2\r\n');
    agree();
    await opened;
    expect(socket.usable).toBe(true);
  });

  it('is closed where the store refuses the sign-in, or does not answer it in time', async () => {
    const refusing = await serve((peer) => peer.write('-WRONGPASS no\r\n'));
    expect((await open(refusing, { greeting: [request('auth', 'x')] }).closed).message).toBe('WRONGPASS no');
    const silent = await serve(() => undefined);
    const reason = await open(silent, { greeting: [request('auth', 'x')] }).closed;
    expect(reason.message).toBe('no connection within 300 ms');
  });

  it.each([
    ['garbage', 'HTTP/1.1 200 OK\r\n\r\n', /cannot begin/],
    ['more replies than there were commands', '+OK\r\n+OK\r\n', /more than was asked for/],
  ])('is given up after %s, and nobody gets a reply that is not his', async (_, answer, reason) => {
    const port = await serve((peer) => peer.once('data', () => peer.write(answer)));
    const { socket, opened, closed } = open(port);
    await opened;
    const first = send(socket, request('A')).catch((error: unknown) => error);
    expect((await closed).message).toMatch(reason);
    expect(await Promise.race([first, pause(50)])).toEqual(answer.startsWith('+') ? ['OK'] : await closed);
    await expect(send(socket, request('B'))).rejects.toThrow(reason);
  });

  it('tells all that wait when it ends in the middle of a reply', async () => {
    const port = await serve((peer) => peer.once('data', () => peer.end('+OK\r\n$100\r\nhalf')));
    const { socket, opened, closed } = open(port);
    await opened;
    const trips = [send(socket, request('A')), send(socket, request('B')), send(socket, request('C'))];
    const results = await Promise.allSettled(trips);
    expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'rejected']);
    expect((await closed).message).toBe('the store closed the connection');
  });

  it('is given up when a reply is overdue and nothing comes, but not for having nothing to do', async () => {
    const port = await serve((peer) => peer.once('data', () => peer.write('+OK\r\n')));
    const { socket, opened, closed } = open(port, { silenceMs: 60 });
    await opened;
    await pause(150);
    expect(await send(socket, request('A'))).toEqual(['OK']);
    await pause(150);
    expect(socket.usable).toBe(true);
    await expect(send(socket, request('B'))).rejects.toThrow('no reply within 60 ms');
    expect((await closed).message).toBe('no reply within 60 ms');
  });

  it('tells where nobody listens', async () => {
    expect((await open(1).closed).message).toContain('ECONNREFUSED');
  });

  it('loses what is under way when it is closed', async () => {
    const port = await serve(() => undefined);
    const { socket, opened } = open(port);
    await opened;
    const trip = send(socket, request('A'));
    socket.close();
    await expect(trip).rejects.toThrow('the connection is closed');
    expect(socket.usable).toBe(false);
  });

  it('speaks TLS with a store whose certificate it trusts, and with no other', async () => {
    const { certificate, privateKey } = selfSignedCertificate({
      serverName: 'localhost',
      validityDays: 2,
      now: new Date(),
    });
    const port = await serve((peer) => peer.on('data', () => peer.write('+OK\r\n')), {
      key: privateKey,
      cert: certificate,
    });
    const trusting = open(port, { tls: true, ca: certificate });
    await trusting.opened;
    expect(await send(trusting.socket, request('A'))).toEqual(['OK']);
    expect((await open(port, { tls: true }).closed).message).toMatch(/self.signed/);
  });
});
