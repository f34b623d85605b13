/** Where a store listens, and what its URL says about signing in. */
export interface StoreAddress {
  readonly host: string;
  readonly port: number;
  readonly tls: boolean;
  readonly username?: string;
  readonly password?: string;
  /** Number of the database to select; the store begins in 0. */
  readonly database?: number;
}

const DEFAULT_PORT = 6379;

/**
 * Reads `redis://[user:password@]host[:port][/database]`; `rediss:` is the same over TLS.
 *
 * @throws Error for any other text. The text is not quoted, since it may hold a password
 */
export function storeAddress(url: string): StoreAddress {
  const expected =
    'the address of the store must be redis://[user:password@]host[:port][/database], or rediss:// for TLS';
  if (!URL.canParse(url)) throw new Error(expected);
  const { protocol, hostname, port, username, password, pathname, search, hash } = new URL(url);
  if (protocol !== 'redis:' && protocol !== 'rediss:') throw new Error(`${expected}; got ${protocol}//`);
  const database = /^\/?(\d{0,5})$/.exec(pathname)?.[1];
  if (hostname === '' || database === undefined || search !== '' || hash !== '') throw new Error(expected);
  return {
    // An IPv6 address stands in brackets there, and a socket takes it without.
    host: hostname.replace(/^\[(.*)\]$/, '$1'),
    port: port === '' ? DEFAULT_PORT : Number(port),
    tls: protocol === 'rediss:',
    ...(username !== '' && { username: decodeURIComponent(username) }),
    ...(password !== '' && { password: decodeURIComponent(password) }),
    ...(Number(database) > 0 && { database: Number(database) }),
  };
}
