import { describe, it } from '@jest/globals';
import { Redis as Valkey } from 'ioredis';
import { hasRealStore } from '../store-servers';

/** A suite that needs a real server: skipped where none is installed, unless `REQUIRE_REAL_STORE=1` says that one must be. */
export function describeOnRealStore(name: string, suite: () => void): void {
  if (hasRealStore) {
    describe(name, suite);
    return;
  }
  const run = process.env.REQUIRE_REAL_STORE === '1' ? it : it.skip;
  run(name, () => {
    throw new Error('no valkey-server or redis-server was found on PATH, and REQUIRE_REAL_STORE is set');
  });
}

/** Process id of the server at an address, so that a test can stop it. */
export async function processOf(url: string): Promise<number> {
  const client = new Valkey(url);
  const [, id] = /process_id:(\d+)/.exec(await client.info('server')) ?? [];
  client.disconnect();
  return Number(id);
}
