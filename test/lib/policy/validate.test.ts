import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { BreakerWindowKind, PolicyDocument } from '../../../lib';
import { resolvePolicy } from '../../../lib/policy/defaults';
import { assertValidPolicy, validatePolicy } from '../../../lib/policy/validate';
import { POLICY } from '../synthesise';

const SYNTH = { plainKeysAllowed: false };

/** The faults of the small policy with some of its fields replaced. */
function faultsOf(change: object, options = SYNTH): string[] {
  return validatePolicy({ ...POLICY, ...change }, options).map((fault) => `${fault.path}: ${fault.message}`);
}

describe('a policy', () => {
  it('is valid as the reference platform ships it', () => {
    expect(() => PolicyDocument.fromFile('bin/policy.json')).not.toThrow();
  });

  it('has all its faults named at once, each with its path', () => {
    const policy = {
      plans: [
        { name: 'standard', requestsPerMinute: 600, tokensPerMinute: 200_000 },
        { name: 'Premium!', requestsPerMinute: 600, tokensPerMinute: -5 },
      ],
      tenants: [{ name: 'acme', plan: 'gold', keys: ['sk-12345678'] }],
      backends: [{ name: 'gpu', url: 'ftp://models' }],
      models: [{ name: 'qwen3-8b', backends: ['gpu', 'tpu'] }],
    };
    expect(() => assertValidPolicy(policy, SYNTH)).toThrow(
      [
        'the policy has 6 faults:',
        '  plans[1].name: must be lower-case letters, digits and hyphens, a letter or digit at each end, at most 63 characters, got "Premium!"',
        '  plans[1].tokensPerMinute: must be a whole number of at least 1, got -5',
        '  backends[0].url: must be an address such as "https://models.example.com", without query or credentials, got "ftp://models"',
        '  tenants[0].plan: must name a plan of the policy ("standard", "Premium!"), got "gold"',
        '  tenants[0].keys: must not be in a synthesised policy, where it would reach a template; leave it out: the API makes one',
        '  models[0].backends[1]: must name a backend of the policy ("gpu"), got "tpu"',
      ].join('\n'),
    );
  });

  it.each([
    ['no tenants', { tenants: [] }, 'tenants: must be a list of at least 1, got []'],
    [
      'a plan twice',
      { plans: [...POLICY.plans, ...POLICY.plans] },
      'plans[1].name: must be unique, got "standard" again',
    ],
    [
      'a misspelt field',
      { cach: {} },
      'cach: is not a known field; write one of plans, tenants, backends, models, issuers, cache, batch, onStoreLoss',
    ],
    ['no models', { models: undefined }, 'models: is required'],
    [
      'an unknown store-loss rule',
      { onStoreLoss: 'panic' },
      'onStoreLoss: must be "localLimits" or "reject", got "panic"',
    ],
    [
      'a backend twice in a chain',
      { models: [{ name: 'm', backends: ['gpu', 'gpu'] }] },
      'models[0].backends[1]: "gpu" is listed twice',
    ],
    [
      'a degraded answer for embeddings',
      { models: [{ name: 'm', kind: 'embedding', backends: ['gpu'], degradedAnswer: 'Sorry' }] },
      'models[0].degradedAnswer: must be left out: an embedding has no text answer',
    ],
    [
      'a plan for a model that is not there',
      { plans: [{ name: 'standard', requestsPerMinute: 1, tokensPerMinute: 100, models: ['gpt'] }] },
      'plans[0].models[0]: must name a model of the policy ("qwen3-8b"), got "gpt"',
    ],
    [
      'a limit of a model above the plan’s',
      { plans: [{ ...POLICY.plans[0], modelLimits: [{ model: 'qwen3-8b', tokensPerMinute: 1e9 }] }] },
      "plans[0].modelLimits[0].tokensPerMinute: must be at most the plan's (200000), got 1000000000",
    ],
    [
      'a limit of a model that limits nothing',
      { plans: [{ ...POLICY.plans[0], modelLimits: [{ model: 'qwen3-8b' }] }] },
      'plans[0].modelLimits[0]: must set requestsPerMinute, tokensPerMinute or tokensPerDay',
    ],
    [
      'money without prices',
      { plans: [{ ...POLICY.plans[0], moneyPerMonth: 100 }] },
      'plans[0].moneyPerMonth: needs a price for each model of the plan; "qwen3-8b" has none',
    ],
    [
      'a weight for a backend that is not in the chain',
      { models: [{ name: 'm', backends: ['gpu'], weights: { tpu: 1 } }] },
      'models[0].weights["tpu"]: must name one of the model\'s backends ("gpu")',
    ],
    [
      'hedging with one backend',
      { models: [{ name: 'm', backends: ['gpu'], hedging: {} }] },
      'models[0].hedging: needs a second backend, got one',
    ],
    [
      'Bedrock at an address',
      { backends: [{ name: 'gpu', url: 'https://x.example', bedrock: { modelId: 'amazon.nova-lite-v1:0' } }] },
      'backends[0].url: must be left out: bedrock says where and what the backend is',
    ],
    [
      'Bedrock for embeddings',
      {
        backends: [{ name: 'gpu', bedrock: { modelId: 'amazon.nova-lite-v1:0' } }],
        models: [{ name: 'm', kind: 'embedding', backends: ['gpu'] }],
      },
      'models[0].backends[0]: must not be of Bedrock, which serves chat models only',
    ],
    [
      'a service whose name is more than one part of a path',
      { models: [{ name: 'search/docs', kind: 'service', backends: ['gpu'] }] },
      'models[0].name: must have neither / nor :, since a service\'s name is one part of its path, got "search/docs"',
    ],
    [
      'a degraded answer for a service',
      { models: [{ name: 'search', kind: 'service', backends: ['gpu'], degradedAnswer: 'Sorry' }] },
      'models[0].degradedAnswer: must be left out: a service has no text answer',
    ],
    [
      'a breaker that opens for longer at first than at most',
      { backends: [{ name: 'gpu', breaker: { openMs: 5000, maxOpenMs: 4000 } }] },
      'backends[0].breaker.maxOpenMs: must be at least openMs (5000), got 4000',
    ],
    [
      'a window of too many calls',
      { backends: [{ name: 'gpu', breaker: { window: { kind: 'count', size: 1001 } } }] },
      'backends[0].breaker.window.size: must be at most 1000 calls, got 1001',
    ],
    [
      'an issuer in the clear',
      { issuers: [{ issuer: 'http://login.example.com', audience: 'inference' }] },
      'issuers[0].issuer: must be an address such as "https://login.example.com", got "http://login.example.com"',
    ],
    [
      'a look-up by meaning without an embedding model',
      { cache: { semantic: { embeddingModel: 'qwen3-8b' } } },
      'cache.semantic.embeddingModel: must name a model of the kind embedding of the policy (none), got "qwen3-8b"',
    ],
    [
      'answers that are computed again after they are gone',
      { cache: { staleSeconds: 10, revalidateSeconds: 11 } },
      'cache.revalidateSeconds: must be at most staleSeconds (10), got 11',
    ],
    ['a share of nothing', { batch: { ceiling: 0 } }, 'batch.ceiling: must be a number above 0 and at most 1, got 0'],
    [
      'lines that are longer than files',
      { batch: { maxFileBytes: 2048, maxLineBytes: 4096 } },
      'batch.maxLineBytes: must be at most maxFileBytes (2048), got 4096',
    ],
    [
      'more items than workers can be asked for',
      { batch: { parallelItems: 10_001 } },
      'batch.parallelItems: must be a whole number from 2 to 10000, got 10001',
    ],
    [
      'a webhook in the clear',
      { tenants: [{ name: 'acme', plan: 'standard', webhook: { url: 'http://acme.example' } }] },
      'tenants[0].webhook.url: must be an address such as "https://example.com/hooks/batches", without credentials, got "http://acme.example"',
    ],
    [
      'a webhook that carries a password',
      { tenants: [{ name: 'acme', plan: 'standard', webhook: { url: 'https://a:b@acme.example' } }] },
      'tenants[0].webhook.url: must be an address such as "https://example.com/hooks/batches", without credentials, got "https://a:b@acme.example"',
    ],
    [
      'a request limit above the minute',
      { plans: [{ name: 'standard', requestsPerMinute: 1, tokensPerMinute: 100, maxTokensPerRequest: 101 }] },
      'plans[0].maxTokensPerRequest: must be at most tokensPerMinute (100), or such a request could never be admitted, got 101',
    ],
    [
      'a day below the minute',
      {
        plans: [{ name: 'standard', requestsPerMinute: 10, tokensPerMinute: 100, tokensPerDay: 99, requestsPerDay: 9 }],
      },
      'plans[0].tokensPerDay: must be at least tokensPerMinute (100), got 99',
    ],
    [
      'a breaker that cannot open',
      {
        backends: [
          { name: 'gpu', breaker: { window: { kind: 'count', size: 5 }, minimumCalls: 6 } },
          POLICY.backends[1],
        ],
      },
      "backends[0].breaker.minimumCalls: must be at most the window's size (5), or the breaker could never open, got 6",
    ],
    [
      'a first token later than the end',
      { backends: [{ name: 'gpu', timeouts: { firstTokenMs: 5000, totalMs: 1000 } }, POLICY.backends[1]] },
      'backends[0].timeouts.firstTokenMs: must be at most totalMs (1000), got 5000',
    ],
  ])('with %s is refused', (_, change, message) => {
    expect(faultsOf(change)).toContain(message);
  });

  it('refuses an address to which each call would add what it ends with, unless all calls go to one path', () => {
    const url = 'https://models.example.com/v1';
    expect(faultsOf({ backends: [{ name: 'gpu', url }, POLICY.backends[1]] })).toEqual([
      'backends[0].url: must end before /v1, which each call begins with, got "https://models.example.com/v1": leave /v1 out',
    ]);
    expect(faultsOf({ backends: [{ name: 'gpu', url, path: '/rerank' }, POLICY.backends[1]] })).toEqual([]);
  });

  it.each(['/', '/search', '/v1/models/x:predict', '/a%20b'])('takes %s as the path of a backend', (path) => {
    expect(faultsOf({ backends: [{ name: 'gpu', path }, POLICY.backends[1]] })).toEqual([]);
  });

  it.each(['search', '//elsewhere', '/..', '/\\elsewhere', '/predict:all', '/a b', '/a?b', '/ä'])(
    'refuses %s as the path of a backend',
    (path) => {
      expect(faultsOf({ backends: [{ name: 'gpu', path }, POLICY.backends[1]] })).toEqual([
        `backends[0].path: must be a path such as "/v1/search", without query or white space, got ${JSON.stringify(path)}`,
      ]);
    },
  );

  it('may carry keys for a local run, each to one tenant', () => {
    const tenants = [
      { name: 'acme', plan: 'standard', keys: ['sk-12345678'] },
      { name: 'globex', plan: 'standard', keys: ['sk-12345678'] },
    ];
    expect(faultsOf({ tenants }, { plainKeysAllowed: true })).toEqual([
      'tenants[1].keys[0]: must be unique to one tenant',
    ]);
  });

  it('takes an address that is known at deployment only', () => {
    expect(faultsOf({ backends: [{ name: 'gpu', url: 'http://${Token[TOKEN.12]}/x' }, POLICY.backends[1]] })).toEqual(
      [],
    );
  });

  it('of any shape is judged, never a crash', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        expect(validatePolicy(value, SYNTH).length).toBeGreaterThan(0);
      }),
    );
    fc.assert(
      fc.property(fc.constantFrom(...Object.keys(POLICY)), fc.jsonValue(), (field, value) => {
        expect(Array.isArray(validatePolicy({ ...POLICY, [field]: value }, SYNTH))).toBe(true);
      }),
    );
  });

  it('in a file that is not there is said to be so', () => {
    expect(() => PolicyDocument.fromFile('no/such.json')).toThrow(
      /^the policy file "no\/such.json" cannot be read: ENOENT/,
    );
  });

  it('says where JSON is broken', () => {
    expect(() => PolicyDocument.fromJson('{"plans": [')).toThrow(/^the policy is not valid JSON: /);
  });

  it('lists its faults for a caller that wants no exception', () => {
    expect(PolicyDocument.validate({ ...POLICY, tenants: [] })).toEqual([
      'tenants: must be a list of at least 1, got []',
    ]);
  });
});

describe('the defaults of a policy', () => {
  const resolved = resolvePolicy({ ...POLICY, plans: [{ name: 'p', requestsPerMinute: 1, tokensPerMinute: 500 }] });

  it('fill what was left out', () => {
    expect(resolved.plans[0]).toMatchObject({ parallelRequests: 32, maxTokensPerRequest: 500 });
    expect(resolved.models[0]).toMatchObject({ kind: 'chat', expectedOutputTokens: 256 });
    expect(resolved.cache).toMatchObject({ ttlSeconds: 600, staleSeconds: 86_400, singleFlight: true });
    expect(resolved.onStoreLoss).toBe('localLimits');
    expect(resolved.backends[0]!.timeouts).toMatchObject({ connectMs: 500, firstTokenMs: 10_000, totalMs: 300_000 });
  });

  it('leave answers uncached unless the policy says otherwise', () => {
    expect(resolvePolicy({ ...POLICY, cache: undefined }).cache).toBeUndefined();
  });

  it('let background work in, below a ceiling', () => {
    expect(resolved.batch).toMatchObject({ ceiling: 0.7, parallelItems: 50, maxRequests: 100_000, maxAttempts: 5 });
    expect(resolvePolicy({ ...POLICY, batch: { ceiling: 1 } }).batch).toMatchObject({ ceiling: 1, retentionDays: 30 });
  });

  it('never exceed what was set', () => {
    const [backend] = resolvePolicy({
      ...POLICY,
      backends: [
        {
          name: 'gpu',
          timeouts: { totalMs: 2000 },
          breaker: { window: { kind: BreakerWindowKind.COUNT, size: 8 } },
        },
      ],
    }).backends;
    expect(backend!.timeouts.firstTokenMs).toBe(2000);
    expect(backend!.breaker.minimumCalls).toBe(8);
  });
});
