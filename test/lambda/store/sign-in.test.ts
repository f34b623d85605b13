import { afterEach, describe, expect, it, jest } from '@jest/globals';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { RequestParser } from '../../../bin/start/resp';
import { StoreConnection } from '../../../lambda/store/connection';
import { script } from '../../../lambda/store/scripts';

const HOUR_MS = 3_600_000;
const PING = { call: 'PING', args: [] };

/** A store that answers as the test says and keeps what it was asked. */
class ScriptedStore {
  public readonly asked: string[] = [];
  public connections = 0;
  private readonly sockets = new Set<Socket>();
  private readonly server: Server;

  constructor(private readonly answer: (command: string) => string | Promise<string>) {
    this.server = createServer((socket) => {
      this.connections += 1;
      this.sockets.add(socket);
      const parser = new RequestParser();
      let last = Promise.resolve();
      socket
        .on('error', () => undefined)
        .on('data', (bytes: Buffer) => {
          for (const request of parser.push(bytes)) {
            const command = request.join(' ');
            this.asked.push(command);
            last = last.then(async () => void socket.write(await this.answer(command)));
          }
        });
    });
  }

  public async url(): Promise<string> {
    await new Promise<void>((resolve) => this.server.listen(0, '127.0.0.1', resolve));
    return `redis://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  public close(): void {
    for (const socket of this.sockets) socket.destroy();
    this.server.close();
  }
}

const closing: { close(): void }[] = [];
const errors: string[] = [];

async function connect(store: ScriptedStore, settings: Partial<ConstructorParameters<typeof StoreConnection>[0]> = {}) {
  const onError = ({ message }: Error) => errors.push(message);
  const url = await store.url();
  const connection = new StoreConnection({ url, timeoutMs: 100, connectTimeoutMs: 500, onError, ...settings });
  closing.push(connection, store);
  return connection;
}

afterEach(() => {
  for (const one of closing.splice(0)) one.close();
  errors.length = 0;
  jest.restoreAllMocks();
});

describe('a sign-in', () => {
  /** A fresh password each time. */
  const credentials = () => {
    let passwords = 0;
    return () => Promise.resolve({ username: 'gateway', password: `token-${++passwords}` });
  };

  it('is made with a fresh password on each connection', async () => {
    const store = new ScriptedStore((command) => (command === 'QUIT' ? '-READONLY replica\r\n' : '+OK\r\n'));
    const connection = await connect(store, { credentials: credentials() });
    await connection.trip([PING]);
    await expect(connection.trip([{ call: 'QUIT', args: [] }])).rejects.toThrow('READONLY');
    // Of a store that has become a replica, nothing is to be had; its name leads to another one by now.
    while (store.connections < 2) await pause(10);
    while (!(await connection.trip([PING]).catch(() => undefined))) await pause(10);
    expect(store.asked.filter((command) => command.startsWith('auth'))).toEqual([
      'auth gateway token-1',
      'auth gateway token-2',
    ]);
    expect(errors).toEqual(['READONLY replica']);
  });

  it('is renewed beside the requests before it ends, and again soon where that fails', async () => {
    let refuses = false;
    const store = new ScriptedStore((command) =>
      refuses && command.startsWith('auth') ? '-WRONGPASS no\r\n' : '+OK\r\n',
    );
    const connection = await connect(store, { credentials: credentials() });
    const signIns = () => store.asked.filter((command) => command.startsWith('auth')).length;
    const tripAt = async (hours: number) => {
      jest.spyOn(Date, 'now').mockReturnValue(started + hours * HOUR_MS);
      await connection.trip([PING]);
      await connection.trip([PING]);
      await pause(20);
      return signIns();
    };
    const started = Date.now();
    expect(await tripAt(7.9)).toBe(1);
    refuses = true;
    expect(await tripAt(8.1)).toBe(2);
    expect(errors).toEqual(['WRONGPASS no']);
    refuses = false;
    expect(await tripAt(8.2)).toBe(2);
    expect(await tripAt(8.4)).toBe(3);
    expect(await tripAt(16)).toBe(3);
    expect(await tripAt(16.5)).toBe(4);
    expect(store.connections).toBe(1);
  });

  it('uses what the URL says where there are no other credentials', async () => {
    const store = new ScriptedStore(() => '+OK\r\n');
    const url = (await store.url()).replace('//', '//me:secret@');
    const connection = new StoreConnection({
      url: `${url}/3`,
      timeoutMs: 100,
      connectTimeoutMs: 500,
      onError: () => undefined,
    });
    closing.push(connection, store);
    await connection.trip([PING]);
    expect(store.asked).toEqual(['auth me secret', 'select 3', 'PING']);
  });

  it('that is refused is told, and the store is lost until it succeeds', async () => {
    let refuses = true;
    const store = new ScriptedStore(() => (refuses ? '-WRONGPASS no\r\n' : '+OK\r\n'));
    const connection = await connect(store, { credentials: credentials() });
    await expect(connection.trip([PING])).rejects.toMatchObject({ name: 'StoreLost', unsent: true });
    expect(errors).toContain('WRONGPASS no');
    refuses = false;
    while (!(await connection.trip([PING]).catch(() => undefined))) await pause(10);
  });
});

describe('a trip that comes too late', () => {
  it('holds back what follows until it is over, and its forgotten scripts do not run any more', async () => {
    let release: () => void = () => undefined;
    const held = new Promise<string>((resolve) => (release = () => resolve('-NOSCRIPT none\r\n')));
    const store = new ScriptedStore((command) => (command.startsWith('evalsha') ? held : '+OK\r\n'));
    const connection = await connect(store, { timeoutMs: 30 });
    const late = { script: script('return 1'), keys: [], args: [] };
    await expect(connection.trip([late])).rejects.toMatchObject({ message: /no answer within 30 ms/, unsent: false });
    await expect(connection.trip([PING])).rejects.toMatchObject({ message: /yet to answer/, unsent: true });
    release();
    await pause(20);
    expect(await connection.trip([PING])).toEqual(['OK']);
    expect(store.asked.map((command) => command.split(' ')[0])).toEqual(['evalsha', 'PING']);
  });
});
