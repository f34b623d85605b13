import { connect } from 'node:net';
import { UserError } from '../user-error';

/** What serves the store in a local run. */
export interface LocalStore {
  readonly url: string;
  /** For people, without a password. */
  readonly description: string;
  /** What a handler waits for it, where that is not what the template says. */
  readonly timeoutMs?: number;
  close(): Promise<void>;
}

const CONNECT_TIMEOUT_MS = 2000;
const DEFAULT_PORT = 6379;

/**
 * The embedded store shares one thread with the front, the handlers and the stubs. It admits a request in about 0.5 ms,
 * its way over TCP included, where a real one takes 0.2 (a thousand in a row from one client); so a hundred at once wait
 * 40 ms for the store alone, and would pass for a lost one within the 50 ms that a real one gets.
 */
const EMBEDDED_TIMEOUT_MS = 2000;

/**
 * The real store at an address, or one in this process where there is none.
 *
 * @throws UserError where nothing answers there: the handlers would serve on without it, and nobody would notice
 */
export async function serveStore(url: string | undefined): Promise<LocalStore> {
  if (url !== undefined) {
    const address = parseStoreUrl(url);
    await assertReachable(address);
    return { url, description: `${address.protocol}//${address.host}`, close: () => Promise.resolve() };
  }
  const { startEmbeddedStore } = await import('./embedded-store');
  const store = await startEmbeddedStore();
  return {
    url: store.url,
    description: 'embedded in this process; set VALKEY_URL=redis://host:port to use a real one',
    timeoutMs: EMBEDDED_TIMEOUT_MS,
    close: () => store.close(),
  };
}

function parseStoreUrl(url: string): URL {
  if (!/^rediss?:\/\/./.test(url) || !URL.canParse(url)) {
    throw new UserError(`VALKEY_URL must be an address such as redis://localhost:6379 or rediss://host:port`);
  }
  return new URL(url);
}

async function assertReachable({ hostname, port, host }: URL): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const socket = connect({ host: hostname.replace(/^\[|\]$/g, ''), port: Number(port || DEFAULT_PORT) });
    const fail = (why: string) => {
      socket.destroy();
      reject(new UserError(`VALKEY_URL: cannot connect to ${host} (${why})`));
    };
    socket.setTimeout(CONNECT_TIMEOUT_MS, () => fail(`no answer within ${CONNECT_TIMEOUT_MS / 1000} s`));
    socket.once('error', (error: NodeJS.ErrnoException) => fail(error.code ?? error.message));
    socket.once('connect', () => {
      socket.destroy();
      resolve();
    });
  });
}
