import { createLocalJWKSet, errors, type JSONWebKeySet, type JWTVerifyGetKey } from 'jose';
import type { ResolvedIssuer } from '../../lib/policy/defaults';
import type { FetchJson } from './fetch-json';

/** What the keys of an issuer need from outside. */
export interface IssuerKeysPorts {
  readonly fetchJson: FetchJson;
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

/** Nobody can tell now whether a token of this issuer is good. */
export class IssuerUnavailable extends Error {
  constructor(issuer: string, cause: unknown) {
    super(`the keys of the issuer ${issuer} cannot be fetched: ${reasonOf(cause)}`, { cause });
    this.name = 'IssuerUnavailable';
  }
}

/** Keys are fetched again at this age, so that one that the issuer took back opens nothing for longer. */
const FRESH_MS = 600_000;

/** What a client waits for an issuer, its configuration and its keys together. */
const TIMEOUT_MS = 2000;

/** Between two fetches while keys are held: tokens that name a key at random cannot make us a load on the issuer. */
const COOL_DOWN_MS = 30_000;

/** Between two fetches while there are none yet, and nobody gets in. */
const FIRST_COOL_DOWN_MS = 5000;

/** How old keys may get while the issuer does not answer: an outage of a day is survived, a forgotten issuer is not. */
const KEEP_MS = 86_400_000;

/**
 * The public keys of one issuer, kept in this process.
 *
 * jose picks and imports the key. Its `createRemoteJWKSet` keeps keys too, but forgets them ten minutes after the issuer
 * went away, asks a silent issuer anew for every token, and knows no discovery: so they are kept here.
 */
export class IssuerKeys {
  private held?: { readonly pick: JWTVerifyGetKey; readonly fetchedAt: number };
  /** Where the issuer's configuration says that its keys are; forgotten once they are not. */
  private discoveredUrl?: string;
  private triedAt = -Infinity;
  /** Why the last fetch failed; undefined after one that did not. */
  private failure?: IssuerUnavailable;
  private fetching?: Promise<void>;

  constructor(
    private readonly issuer: ResolvedIssuer,
    private readonly ports: IssuerKeysPorts,
  ) {}

  /**
   * The key that a token's header names. A name that is not known is looked for at the issuer at once, in the bounds of
   * the cool-down: so new keys work from their first token on.
   *
   * @throws IssuerUnavailable where the issuer does not answer and the keys at hand do not tell
   * @throws JOSEError for a key that the issuer does not have
   */
  public readonly pick: JWTVerifyGetKey = async (header, token) => {
    if (this.age() >= FRESH_MS) await this.refresh();
    if (!this.held || this.age() >= KEEP_MS) throw this.unavailable();
    try {
      return await this.held.pick(header, token);
    } catch (error) {
      if (!(error instanceof errors.JWKSNoMatchingKey)) throw error;
    }
    await this.refresh();
    // It may be the key of a rotation that we have not heard of.
    if (this.failure) throw this.failure;
    return this.held.pick(header, token);
  };

  private age(): number {
    return this.held ? this.ports.now() - this.held.fetchedAt : Infinity;
  }

  private unavailable(): IssuerUnavailable {
    return this.failure ?? new IssuerUnavailable(this.issuer.issuer, new Error('no keys yet'));
  }

  /** Fetches the keys, once for all who wait and not before the cool-down is over; a failure leaves what is held. */
  private async refresh(): Promise<void> {
    const coolDown = this.held ? COOL_DOWN_MS : FIRST_COOL_DOWN_MS;
    if (!this.fetching && this.ports.now() - this.triedAt < coolDown) return;
    this.fetching ??= this.fetch().finally(() => {
      this.fetching = undefined;
    });
    await this.fetching;
  }

  private async fetch(): Promise<void> {
    this.triedAt = this.ports.now();
    try {
      const signal = AbortSignal.timeout(TIMEOUT_MS);
      const url = this.issuer.jwksUrl ?? (this.discoveredUrl ??= await this.discover(signal));
      const pick = createLocalJWKSet((await this.ports.fetchJson(url, signal)) as JSONWebKeySet);
      this.held = { pick, fetchedAt: this.ports.now() };
      this.failure = undefined;
    } catch (error) {
      this.discoveredUrl = undefined;
      this.failure = new IssuerUnavailable(this.issuer.issuer, error);
    }
  }

  /** Where the issuer's configuration (OpenID Connect Discovery 1.0, section 4) says that its keys are. */
  private async discover(signal: AbortSignal): Promise<string> {
    const url = `${this.issuer.issuer.replace(/\/$/, '')}/.well-known/openid-configuration`;
    const found = (await this.ports.fetchJson(url, signal)) as { issuer?: unknown; jwks_uri?: unknown } | null;
    if (found?.issuer !== this.issuer.issuer) throw new Error(`${url} is the configuration of another issuer`);
    const { jwks_uri: keysUrl } = found;
    if (typeof keysUrl !== 'string' || !URL.canParse(keysUrl) || new URL(keysUrl).protocol !== 'https:') {
      throw new Error(`${url} names no https address of keys`);
    }
    return keysUrl;
  }
}

/** `fetch` says what went wrong one level below. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.cause instanceof Error ? `${error.message}: ${error.cause.message}` : error.message;
}
