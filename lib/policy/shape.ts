import { listOf, mapOf, mustBe, number, oneOf, shape, share, truth, whole } from './fields';
import { BedrockApi, BreakerWindowKind } from './backend';
import { CacheScope, ModelKind } from './model';
import { StoreLoss } from './policy';

const DAYS_30 = 30 * 86_400;

/** A CDK token in a string: its value is known at deployment only, so its form cannot be checked here. */
const TOKEN = /\$\{Token\[[^\]]+\]\}/;

const NAME = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/;
const name = mustBe(
  'lower-case letters, digits and hyphens, a letter or digit at each end, at most 63 characters',
  (value) => typeof value === 'string' && NAME.test(value),
);

const modelName = mustBe(
  '1 to 128 letters, digits and any of . _ : / -, first a letter or digit',
  (value) => typeof value === 'string' && /^[A-Za-z0-9][A-Za-z0-9._:/-]{0,127}$/.test(value),
);

const url = mustBe('an address such as "https://models.example.com", without query or credentials', (value) => {
  if (typeof value !== 'string') return false;
  if (TOKEN.test(value)) return true;
  if (!URL.canParse(value)) return false;
  const parsed = new URL(value);
  const plain = parsed.search === '' && parsed.hash === '' && parsed.username === '' && parsed.password === '';
  return ['http:', 'https:'].includes(parsed.protocol) && plain;
});

const path = mustBe('a path such as "/v1/search", without query or white space', (value) => {
  if (typeof value !== 'string' || !/^\/[^\s?#]{0,511}$/.test(value)) return false;
  // What leads elsewhere when it is joined to an address, such as "//host", "/..", or "/a:b", is refused.
  const base = 'http://host/base/';
  return URL.canParse(value.slice(1), base) && new URL(value.slice(1), base).href === `http://host/base${value}`;
});

const secureUrl = mustBe('an address such as "https://login.example.com"', (value) => {
  if (typeof value !== 'string') return false;
  return TOKEN.test(value) || (URL.canParse(value) && new URL(value).protocol === 'https:');
});

const webhookUrl = mustBe('an address such as "https://example.com/hooks/batches", without credentials', (value) => {
  if (typeof value !== 'string') return false;
  if (TOKEN.test(value)) return true;
  if (!URL.canParse(value)) return false;
  const { protocol, username, password, hash } = new URL(value);
  return protocol === 'https:' && username === '' && password === '' && hash === '';
});

const bedrockModelId = mustBe(
  'the id or the ARN of a model or inference profile of Bedrock, such as "amazon.nova-lite-v1:0"',
  (value) => typeof value === 'string' && (TOKEN.test(value) || /^[A-Za-z0-9][A-Za-z0-9.:/_-]{0,2047}$/.test(value)),
);

const region = mustBe(
  'the code of a region, such as "eu-west-1"',
  (value) => typeof value === 'string' && (TOKEN.test(value) || /^[a-z]{2}(-[a-z]+)+-\d$/.test(value)),
);

const word = mustBe(
  'text of 1 to 255 characters without white space',
  (value) => typeof value === 'string' && (TOKEN.test(value) || /^\S{1,255}$/.test(value)),
);

const text = mustBe(
  'text of 1 to 10000 characters',
  (value) => typeof value === 'string' && value.length >= 1 && value.length <= 10_000,
);

const plainKey = mustBe(
  'a key of 8 to 128 characters without white space',
  (value) => typeof value === 'string' && /^\S{8,128}$/.test(value),
);

const plan = shape(
  {
    name,
    requestsPerMinute: whole(1),
    tokensPerMinute: whole(1),
    parallelRequests: whole(1, 10_000),
    tokensPerDay: whole(1),
    requestsPerDay: whole(1),
    maxTokensPerRequest: whole(1),
    moneyPerMonth: number({ above: 0 }),
    models: listOf(modelName, 1),
    modelLimits: listOf(
      shape({ model: modelName, requestsPerMinute: whole(1), tokensPerMinute: whole(1), tokensPerDay: whole(1) }, [
        'model',
      ]),
      1,
    ),
    weight: whole(1, 1000),
  },
  ['name', 'requestsPerMinute', 'tokensPerMinute'],
);

const breaker = shape(
  {
    window: shape({ kind: oneOf(Object.values(BreakerWindowKind)), size: whole(1, 3600) }, ['kind', 'size']),
    minimumCalls: whole(1, 1000),
    failureRate: share({ zeroAllowed: false }),
    slowFirstTokenMs: whole(1, 870_000),
    slowRate: share({ zeroAllowed: false }),
    openMs: whole(100, 3_600_000),
    maxOpenMs: whole(100, 3_600_000),
    maxCooldownMs: whole(0, 3_600_000),
    halfOpenProbes: whole(1, 100),
  },
  [],
);

const backend = shape(
  {
    name,
    url,
    path,
    bedrock: shape({ modelId: bedrockModelId, region, api: oneOf(Object.values(BedrockApi)) }, ['modelId']),
    capacityTokens: whole(1),
    modelName,
    timeouts: shape(
      {
        connectMs: whole(10, 60_000),
        firstTokenMs: whole(10, 870_000),
        idleMs: whole(10, 870_000),
        totalMs: whole(10, 870_000),
      },
      [],
    ),
    retries: shape({ max: whole(0, 5), budgetRatio: share({ zeroAllowed: true }) }, []),
    breaker,
  },
  ['name'],
);

/** The fields of a policy and what each of them may hold; what they must be to each other is for `validate.ts`. */
export const policyShape = shape(
  {
    plans: listOf(plan, 1),
    tenants: listOf(
      shape({ name, plan: name, keys: listOf(plainKey, 1), webhook: shape({ url: webhookUrl }, ['url']) }, [
        'name',
        'plan',
      ]),
      1,
    ),
    backends: listOf(backend, 1),
    models: listOf(
      shape(
        {
          name: modelName,
          kind: oneOf(Object.values(ModelKind)),
          backends: listOf(name, 1),
          weights: mapOf(whole(1, 1000)),
          hedging: shape({ percentile: number({ min: 0.5, max: 0.999 }), minimumDelayMs: whole(1, 60_000) }, []),
          price: shape({ inputPerMillionTokens: number({ min: 0 }), outputPerMillionTokens: number({ min: 0 }) }, [
            'inputPerMillionTokens',
            'outputPerMillionTokens',
          ]),
          cacheScope: oneOf(Object.values(CacheScope)),
          expectedOutputTokens: whole(1, 1_000_000),
          degradedAnswer: text,
        },
        ['name', 'backends'],
      ),
      1,
    ),
    issuers: listOf(
      shape({ issuer: secureUrl, audience: word, jwksUrl: secureUrl, tenantClaim: word }, ['issuer', 'audience']),
      1,
    ),
    cache: shape(
      {
        ttlSeconds: whole(1, DAYS_30),
        staleSeconds: whole(0, DAYS_30),
        revalidateSeconds: whole(0, DAYS_30),
        singleFlight: truth,
        maxEntryBytes: whole(1024, 16_777_216),
        compressAboveBytes: whole(256),
        semantic: shape(
          {
            embeddingModel: modelName,
            minimumSimilarity: share({ zeroAllowed: false }),
            timeoutMs: whole(10, 10_000),
          },
          ['embeddingModel'],
        ),
      },
      [],
    ),
    batch: shape(
      {
        ceiling: share({ zeroAllowed: false }),
        parallelItems: whole(2, 10_000),
        maxRequests: whole(1, 1_000_000),
        maxFileBytes: whole(1024, 5 * 1024 ** 3),
        maxLineBytes: whole(1024, 6 * 1024 ** 2),
        retentionDays: whole(1, 3650),
        maxAttempts: whole(1, 100),
      },
      [],
    ),
    onStoreLoss: oneOf(Object.values(StoreLoss)),
  },
  ['plans', 'tenants', 'backends', 'models'],
);
