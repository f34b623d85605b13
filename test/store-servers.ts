import { afterAll, beforeAll, describe, it } from '@jest/globals';
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { Redis as Valkey } from 'ioredis';
import { startEmbeddedStore } from '../bin/start/embedded-store';

/** A store that a suite may talk to. */
export interface StoreServer {
  readonly url: string;
  close(): Promise<void>;
}

const KINDS = ['embedded store', 'real store'] as const;

/** The server's program, where one is installed. */
const PROGRAM = ['valkey-server', 'redis-server'].find((name) => spawnSync(name, ['--version']).status === 0);

/**
 * Runs a suite on the embedded store always, and on a real server where one is found. `REQUIRE_REAL_STORE=1` makes its
 * absence a failure, for CI.
 */
export function describeEachStore(name: string, suite: (url: () => string) => void): void {
  for (const kind of KINDS) {
    const isMissing = kind === 'real store' && PROGRAM === undefined;
    if (isMissing) {
      const run = process.env.REQUIRE_REAL_STORE === '1' ? it : it.skip;
      run(`${name} (real store)`, () => {
        throw new Error('no valkey-server or redis-server was found on PATH, and REQUIRE_REAL_STORE is set');
      });
      continue;
    }
    describe(`${name} (${kind})`, () => {
      let server: StoreServer | undefined;
      beforeAll(async () => {
        server = kind === 'real store' ? await startRealStore() : await startEmbeddedStore();
      });
      afterAll(() => server?.close());
      suite(() => {
        if (!server) throw new Error('the store is not started yet');
        return server.url;
      });
    });
  }
}

/** Runs a suite that compares the embedded store with a real one; skipped and required as in {@link describeEachStore}. */
export function describeBothStores(
  name: string,
  suite: (urls: () => Record<(typeof KINDS)[number], string>) => void,
): void {
  if (PROGRAM === undefined) {
    describeEachStore(name, () => undefined);
    return;
  }
  describe(`${name} (embedded and real store)`, () => {
    let servers: StoreServer[] = [];
    beforeAll(async () => {
      servers = await Promise.all([startEmbeddedStore(), startRealStore()]);
    });
    afterAll(() => Promise.all(servers.map((server) => server.close())));
    suite(() => ({ 'embedded store': servers[0]!.url, 'real store': servers[1]!.url }));
  });
}

/** Whether a real server is installed. */
export const hasRealStore = PROGRAM !== undefined;

/** Starts a real server on a free port, without persistence. */
export async function startRealStore(port?: number): Promise<StoreServer & { readonly port: number }> {
  if (PROGRAM === undefined) throw new Error('no valkey-server or redis-server was found on PATH');
  const chosen = port ?? (await freePort());
  const directory = mkdtempSync(join(tmpdir(), 'store-'));
  const options = ['--port', String(chosen), '--bind', '127.0.0.1', '--save', '', '--dir', directory];
  const child = spawn(PROGRAM, options, { stdio: 'ignore' });
  const ended = new Promise((resolve) => child.once('exit', resolve));
  const url = `redis://127.0.0.1:${chosen}`;
  await untilReady(url);
  return {
    url,
    port: chosen,
    close: async () => {
      child.kill('SIGKILL');
      await ended;
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

async function untilReady(url: string): Promise<void> {
  for (let attempt = 0; attempt < 100; attempt++) {
    const client = new Valkey(url, { lazyConnect: true, retryStrategy: () => null });
    client.on('error', () => undefined);
    try {
      await client.connect();
      await client.ping();
      return;
    } catch {
      await pause(30);
    } finally {
      client.disconnect();
    }
  }
  throw new Error(`no store answered at ${url}`);
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}
