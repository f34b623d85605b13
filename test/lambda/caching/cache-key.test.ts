import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { cacheKey, keyScope } from '../../../lambda/caching/cache-key';
import { CacheScope } from '../../../lib/policy/model';

const subject = {
  scope: { tenant: 'acme' },
  endpoint: 'chat',
  stream: false,
  body: { model: 'm', messages: [{ role: 'user' }] },
};

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

  const bodies = fc.dictionary(fc.string(), fc.jsonValue());

  it('is never shared by two tenants, unless the model says so, whatever they and the model are called', () => {
    // A token's claim may name a tenant in ways that a policy may not.
    const name = fc.oneof(fc.stringMatching(/^[a-z0-9-]{1,20}$/), fc.string(), fc.constantFrom('shared:m', 'm', '}:{'));
    fc.assert(
      fc.property(name, name, name, bodies, (a, b, model, body) => {
        fc.pre(a !== b);
        const key = (tenant: string, cacheScope?: CacheScope) =>
          cacheKey({ ...subject, body, scope: keyScope(tenant, { name: model, ...(cacheScope && { cacheScope }) }) });
        expect(key(a)).not.toBe(key(b));
        expect(key(a, CacheScope.TENANT)).toBe(key(a));
        expect(key(a, CacheScope.SHARED)).toBe(key(b, CacheScope.SHARED));
        expect([key(a), key(b)]).not.toContain(key(a, CacheScope.SHARED));
      }),
    );
  });

  it('keeps the keys of a tenant, and those of a shared model, in one slot', () => {
    expect(cacheKey(subject)).toMatch(/^\{acme\}:cache:[0-9a-f]{64}$/);
    expect(cacheKey({ ...subject, scope: { shared: 'm' } })).toMatch(/^\{shared:m\}:cache:[0-9a-f]{64}$/);
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

  it('passes over who asks and what they note down, over fields that say nothing and over what is so anyway', () => {
    const idle = { user: 'u', metadata: { a: 1 }, temperature: null, stream: false, n: 1, logprobs: false };
    for (const endpoint of ['chat', 'completions', 'embeddings']) {
      const plain = { ...subject, endpoint };
      expect(cacheKey({ ...plain, body: { ...subject.body, ...idle } })).toBe(cacheKey(plain));
    }
  });

  it.each([{ temperature: 1 }, { top_p: 1 }, { n: 2 }, { logprobs: 0 }, { seed: 0 }, { max_tokens: 256 }])(
    'tells %j from its absence, for which a server may have a default of its own',
    (field) => {
      expect(cacheKey({ ...subject, body: { ...subject.body, ...field } })).not.toBe(cacheKey(subject));
    },
  );

  it('takes every field of a call that it does not know for significant', () => {
    const call = (field: object) => cacheKey({ ...subject, endpoint: 'services', body: { ...subject.body, ...field } });
    const keys = [{}, { user: 'u' }, { n: 1 }, { store: true }, { filter: null }, { logprobs: false }].map(call);
    expect(new Set(keys).size).toBe(keys.length);
  });
});
