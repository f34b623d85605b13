import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import OpenAI from 'openai';
import { selfSignedCertificate } from '../lambda/self-signed-certificate';
import { keySet, signingKey, token } from '../lambda/security/token-issuer';
import { policyFile, ROOMY_KEY } from './policy';
import { type RunningPlatform, startPlatform } from './processes';

const AUDIENCE = 'api://inference';
const KEY = signingKey('first');

/** An issuer on this machine, by HTTPS. */
class Issuer {
  public keys = keySet(KEY);
  public readonly calls: string[] = [];
  private readonly certificate = selfSignedCertificate({ serverName: 'localhost', validityDays: 1, now: new Date() });
  private readonly server: Server = createServer(
    { cert: this.certificate.certificate, key: this.certificate.privateKey },
    ({ url }, response) => {
      this.calls.push(url!);
      const configuration = { issuer: this.url('/discovered'), jwks_uri: this.url('/keys') };
      response.end(JSON.stringify(url!.endsWith('/openid-configuration') ? configuration : this.keys));
    },
  );

  public url(path: string): string {
    return `https://localhost:${(this.server.address() as AddressInfo).port}${path}`;
  }

  /** Starts, and returns the file by which a process trusts the issuer's certificate. */
  public async start(): Promise<string> {
    this.server.listen(0, 'localhost');
    await new Promise((resolve) => this.server.once('listening', resolve));
    const file = join(mkdtempSync(join(tmpdir(), 'issuer-')), 'certificate.pem');
    writeFileSync(file, this.certificate.certificate);
    return file;
  }

  public async stop(): Promise<void> {
    this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve));
  }
}

describe('an official OpenAI client that brings a token', () => {
  const issuer = new Issuer();
  let platform: RunningPlatform;
  let base: { issuer: string; audience: string };

  beforeAll(async () => {
    const trusted = await issuer.start();
    base = { issuer: issuer.url(''), audience: AUDIENCE };
    const policy = {
      plans: [
        { name: 'roomy', requestsPerMinute: 6000, tokensPerMinute: 1_000_000 },
        { name: 'daily', requestsPerMinute: 3, tokensPerMinute: 1_000_000, requestsPerDay: 3 },
      ],
      tenants: [
        { name: 'acme', plan: 'roomy', keys: [ROOMY_KEY] },
        { name: 'globex', plan: 'daily' },
      ],
      backends: [{ name: 'primary' }],
      models: [{ name: 'assistant', backends: ['primary'] }],
      issuers: [
        { ...base, jwksUrl: issuer.url('/keys') },
        { issuer: issuer.url('/discovered'), audience: AUDIENCE, tenantClaim: 'https://example.com/tenant' },
        { issuer: 'https://localhost:1', audience: AUDIENCE },
      ],
    };
    platform = await startPlatform(['--policy', policyFile(policy), '--logs'], { NODE_EXTRA_CA_CERTS: trusted });
  }, 20_000);

  afterAll(async () => {
    await platform.process.end();
    await issuer.stop();
  });

  const seconds = () => Math.floor(Date.now() / 1000);
  const tokenFor = (change: object = {}, key = KEY) =>
    token(key, {
      iss: base.issuer,
      aud: AUDIENCE,
      sub: 'ann@example.com',
      exp: seconds() + 600,
      tenant: 'acme',
      jti: String(Math.random()),
      ...change,
    });
  const call = async (apiKey: string) => {
    const client = new OpenAI({ baseURL: platform.baseUrl, apiKey, maxRetries: 0 });
    const answer = await client.chat.completions
      .create({ model: 'assistant', messages: [{ role: 'user', content: 'Hi' }] })
      .catch((error: unknown) => error);
    if (!(answer instanceof OpenAI.APIError)) return { status: 200, code: undefined };
    return { status: answer.status as number, code: answer.code };
  };

  it('is served as the tenant that the token names, and its name stands in no log', async () => {
    expect(await call(tokenFor())).toMatchObject({ status: 200 });
    const [principal] = await platform.process.printed(/"tenant":"acme","plan":"roomy","enduser\.pseudo\.id":"(\w+)"/);
    expect(principal).toMatch(/^[0-9a-f]{16}$/);
    expect(platform.process.output).not.toContain('ann@example.com');
  });

  it('is served by an issuer whose configuration says where its keys are', async () => {
    const change = { iss: issuer.url('/discovered'), 'https://example.com/tenant': 'acme', tenant: undefined };
    expect(await call(tokenFor(change))).toMatchObject({ status: 200 });
    expect(issuer.calls).toContain('/discovered/.well-known/openid-configuration');
  });

  it('is served with an API key as before', async () => {
    expect(await call(ROOMY_KEY)).toMatchObject({ status: 200 });
  });

  it.each([
    ['is signed by a stranger', () => tokenFor({}, signingKey('first'))],
    ['names a tenant that there is not', () => tokenFor({ tenant: 'hooli' })],
    ['is for someone else', () => tokenFor({ aud: 'api://billing' })],
    ['has expired', () => tokenFor({ exp: seconds() - 60 })],
  ])('is turned away where the token %s', async (_, bad) => {
    expect(await call(bad())).toEqual({ status: 401, code: 'invalid_api_key' });
  });

  it('spends the daily quota of its tenant, whichever token it brings', async () => {
    const tokens = [tokenFor({ tenant: 'globex' }), tokenFor({ tenant: 'globex' })];
    for (const each of [0, 1, 0]) expect(await call(tokens[each]!)).toMatchObject({ status: 200 });
    expect(await call(tokens[1]!)).toMatchObject({ status: 429, code: 'insufficient_quota' });
  });

  it('learns that nobody can tell where the issuer is silent', async () => {
    expect(await call(tokenFor({ iss: 'https://localhost:1' }))).toEqual({ status: 500, code: 'internal_error' });
  });

  it('is served until the token expires, and no longer for its answer being remembered', async () => {
    // Two seconds of the tolerance are left.
    const ending = tokenFor({ exp: seconds() - 28 });
    expect(await call(ending)).toMatchObject({ status: 200 });
    await delay(3100);
    expect(await call(ending)).toEqual({ status: 401, code: 'token_expired' });
  });

  it('is served with the keys at hand while the issuer is down', async () => {
    await issuer.stop();
    expect(await call(tokenFor())).toMatchObject({ status: 200 });
  });
});
