import { setImmediate as nextTurn } from 'node:timers/promises';
import { beforeEach, describe, expect, it } from '@jest/globals';
import type { FlattenedJWSInput } from 'jose';
import { IssuerKeys, IssuerUnavailable } from '../../../lambda/security/issuer-keys';
import { AUDIENCE, ISSUER, keySet, NOW_SECONDS, signingKey } from './token-issuer';

const CONFIGURATION = `${ISSUER}/.well-known/openid-configuration`;
const KEYS_URL = 'https://keys.example.com/set';
const OLD = signingKey('old');
const NEW = signingKey('new');
const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;

const DOWN = new Error('down');
/** What is at each address; an error is thrown. */
let documents: Record<string, unknown>;
let calls: string[];
let now: number;

const fetchJson = async (url: string) => {
  calls.push(url);
  // As over a network: whoever asks meanwhile has to wait.
  await nextTurn();
  const found = documents[url];
  if (found === undefined) throw new Error('no such address');
  if (found instanceof Error) throw found;
  return found;
};

function keysOf(change: object = { jwksUrl: KEYS_URL }): IssuerKeys {
  return new IssuerKeys(
    { issuer: ISSUER, audience: AUDIENCE, tenantClaim: 'tenant', ...change },
    { fetchJson, now: () => now },
  );
}
const pick = (keys: IssuerKeys, kid: string) => keys.pick({ alg: 'ES256', kid }, {} as FlattenedJWSInput);
const picked = async (keys: IssuerKeys, kid: string) => (await pick(keys, kid)) !== undefined;

beforeEach(() => {
  documents = { [CONFIGURATION]: { issuer: ISSUER, jwks_uri: KEYS_URL }, [KEYS_URL]: keySet(OLD) };
  calls = [];
  now = NOW_SECONDS * 1000;
});

describe('the keys of an issuer', () => {
  it('are fetched once for many tokens, those that come together among them', async () => {
    const keys = keysOf();
    await Promise.all([pick(keys, 'old'), pick(keys, 'old')]);
    now += 9 * MINUTE;
    await pick(keys, 'old');
    expect(calls).toEqual([KEYS_URL]);
  });

  it('are fetched again after ten minutes, so that a key which was taken back opens nothing', async () => {
    const keys = keysOf();
    await pick(keys, 'old');
    documents[KEYS_URL] = keySet(NEW);
    now += 10 * MINUTE;
    await expect(pick(keys, 'old')).rejects.toThrow('no applicable key');
    expect(await picked(keys, 'new')).toBe(true);
    expect(calls).toHaveLength(2);
  });

  it('are fetched at once for a key that is new', async () => {
    const keys = keysOf();
    await pick(keys, 'old');
    documents[KEYS_URL] = keySet(OLD, NEW);
    now += 30 * SECOND;
    expect(await picked(keys, 'new')).toBe(true);
    expect(await picked(keys, 'old')).toBe(true);
    expect(calls).toHaveLength(2);
  });

  it('are fetched every 30 s at most, however many unknown keys tokens name', async () => {
    const keys = keysOf();
    await pick(keys, 'old');
    for (let second = 0; second < 120; second += 1) {
      now += SECOND;
      await expect(pick(keys, `random-${second}`)).rejects.toThrow('no applicable key');
    }
    expect(calls).toHaveLength(1 + 120 / 30);
  });

  it('are refused where one of another kind is asked for', async () => {
    await expect(keysOf().pick({ alg: 'RS256', kid: 'old' }, {} as FlattenedJWSInput)).rejects.toThrow(
      'no applicable key',
    );
  });
});

describe('while the issuer is down', () => {
  it('the keys at hand work on for a day, and the issuer is asked every 30 s at most', async () => {
    const keys = keysOf();
    await pick(keys, 'old');
    documents[KEYS_URL] = DOWN;
    now += 10 * MINUTE;
    for (let second = 0; second < 60; second += 1) {
      expect(await picked(keys, 'old')).toBe(true);
      now += SECOND;
    }
    expect(calls).toHaveLength(3);
    now = NOW_SECONDS * 1000 + 24 * HOUR - 1;
    expect(await picked(keys, 'old')).toBe(true);
    now += 1;
    await expect(pick(keys, 'old')).rejects.toThrow(IssuerUnavailable);
  });

  it('nobody can tell of a key that is not at hand', async () => {
    const keys = keysOf();
    await pick(keys, 'old');
    documents[KEYS_URL] = DOWN;
    now += MINUTE;
    await expect(pick(keys, 'new')).rejects.toThrow(IssuerUnavailable);
    now += SECOND;
    await expect(pick(keys, 'new')).rejects.toThrow(IssuerUnavailable);
    expect(calls).toHaveLength(2);
  });

  it('a function without keys asks every 5 s at most, and works once the issuer is back', async () => {
    documents[KEYS_URL] = DOWN;
    const keys = keysOf();
    for (let second = 0; second < 10; second += 1) {
      await expect(pick(keys, 'old')).rejects.toThrow(`the keys of the issuer ${ISSUER} cannot be fetched: down`);
      now += SECOND;
    }
    expect(calls).toHaveLength(2);
    documents[KEYS_URL] = keySet(OLD);
    expect(await picked(keys, 'old')).toBe(true);
  });

  it('nobody waits for longer than 2 s', async () => {
    const silent = (_: string, signal: AbortSignal) =>
      new Promise((_resolve, reject) => {
        signal.addEventListener('abort', () => {
          reject(signal.reason as Error);
        });
      });
    const keys = new IssuerKeys(
      { issuer: ISSUER, audience: AUDIENCE, tenantClaim: 'tenant' },
      { fetchJson: silent, now: Date.now },
    );
    const startedAt = performance.now();
    await expect(pick(keys, 'old')).rejects.toThrow(/aborted due to timeout/);
    expect(performance.now() - startedAt).toBeLessThan(2500);
  });
});

describe('an issuer’s own configuration', () => {
  it('says where its keys are, and is asked again only once they are not there', async () => {
    const keys = keysOf({});
    await pick(keys, 'old');
    now += 10 * MINUTE;
    await pick(keys, 'old');
    expect(calls).toEqual([CONFIGURATION, KEYS_URL, KEYS_URL]);

    const moved = 'https://keys.example.com/moved';
    Object.assign(documents, {
      [CONFIGURATION]: { issuer: ISSUER, jwks_uri: moved },
      [KEYS_URL]: undefined,
      [moved]: keySet(NEW),
    });
    now += 10 * MINUTE;
    expect(await picked(keys, 'old')).toBe(true);
    now += 30 * SECOND;
    expect(await picked(keys, 'new')).toBe(true);
    expect(calls.slice(3)).toEqual([KEYS_URL, CONFIGURATION, moved]);
  });

  it('is found below an issuer whose address ends with a slash', async () => {
    documents[CONFIGURATION] = { issuer: `${ISSUER}/`, jwks_uri: KEYS_URL };
    expect(await picked(keysOf({ issuer: `${ISSUER}/` }), 'old')).toBe(true);
  });

  it.each([
    ['is of another issuer', { issuer: 'https://evil.example', jwks_uri: KEYS_URL }, /configuration of another issuer/],
    ['has a slash more in its name', { issuer: `${ISSUER}/`, jwks_uri: KEYS_URL }, /configuration of another issuer/],
    ['has keys in the clear', { issuer: ISSUER, jwks_uri: 'http://keys.example.com/set' }, /names no https address/],
    ['has keys in a file', { issuer: ISSUER, jwks_uri: 'file:///etc/passwd' }, /names no https address/],
    ['has no keys', { issuer: ISSUER }, /names no https address/],
    ['is nothing', null, /configuration of another issuer/],
  ])('is not followed where it %s', async (_, document, reason) => {
    documents[CONFIGURATION] = document;
    await expect(pick(keysOf({}), 'old')).rejects.toThrow(reason);
    expect(calls).toEqual([CONFIGURATION]);
  });

  it.each([
    ['nothing', null],
    ['a list', []],
    ['a page', '<html>'],
    ['keys that are none', { keys: ['x'] }],
  ])('leads to %s in place of keys: nobody can tell', async (_, document) => {
    documents[KEYS_URL] = document;
    await expect(pick(keysOf(), 'old')).rejects.toThrow(IssuerUnavailable);
  });
});
