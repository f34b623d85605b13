import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { cacheKey } from '../../../lambda/caching/cache-key';

const subject = { tenant: 'acme', endpoint: 'chat', stream: false, body: { model: 'm', messages: [{ role: 'user' }] } };

function reversed(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(reversed);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .reverse()
      .map(([name, field]) => [name, reversed(field)]),
  );
}

describe('the cache key', () => {
  it('does not depend on the order of JSON keys, at any depth', () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.jsonValue()), (body) => {
        const turned = reversed(body) as Record<string, unknown>;
        expect(cacheKey({ ...subject, body: turned })).toBe(cacheKey({ ...subject, body }));
      }),
    );
  });

  it('is never shared by two tenants', () => {
    const name = fc.stringMatching(/^[a-z0-9-]{1,20}$/);
    fc.assert(
      fc.property(name, name, fc.dictionary(fc.string(), fc.jsonValue()), (a, b, body) => {
        fc.pre(a !== b);
        expect(cacheKey({ ...subject, tenant: a, body })).not.toBe(cacheKey({ ...subject, tenant: b, body }));
      }),
    );
  });

  it('differs where the answer may: endpoint, streaming, any parameter, the order of messages', () => {
    const keys = [
      subject,
      { ...subject, endpoint: 'completions' },
      { ...subject, stream: true },
      { ...subject, body: { ...subject.body, temperature: 0 } },
      { ...subject, body: { ...subject.body, messages: [{ role: 'user' }, {}] } },
      { ...subject, body: { ...subject.body, messages: [{}, { role: 'user' }] } },
    ].map(cacheKey);
    expect(new Set(keys).size).toBe(keys.length);
  });

  it('passes over who asks and what they note down, and over fields that say nothing', () => {
    const body = { ...subject.body, user: 'u', metadata: { a: 1 }, temperature: null, stream: false };
    expect(cacheKey({ ...subject, body })).toBe(cacheKey(subject));
  });
});
