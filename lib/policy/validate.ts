import { type Fault, isRecord, listOf, mustBe, oneOf, shape, share, show, whole } from './fields';
import { BreakerWindowKind, ModelKind, StoreLoss } from './policy';

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
    models: listOf(modelName, 1),
  },
  ['name', 'requestsPerMinute', 'tokensPerMinute'],
);

const breaker = shape(
  {
    window: shape({ kind: oneOf(Object.values(BreakerWindowKind)), size: whole(1, 1000) }, ['kind', 'size']),
    minimumCalls: whole(1, 1000),
    failureRate: share({ zeroAllowed: false }),
    slowFirstTokenMs: whole(1, 870_000),
    slowRate: share({ zeroAllowed: false }),
    openMs: whole(100, 3_600_000),
    halfOpenProbes: whole(1, 100),
  },
  [],
);

const backend = shape(
  {
    name,
    url,
    modelName,
    timeouts: shape(
      { connectMs: whole(10, 60_000), firstTokenMs: whole(10, 870_000), totalMs: whole(10, 870_000) },
      [],
    ),
    retries: shape({ max: whole(0, 5), budgetRatio: share({ zeroAllowed: true }) }, []),
    breaker,
  },
  ['name'],
);

const policyShape = shape(
  {
    plans: listOf(plan, 1),
    tenants: listOf(shape({ name, plan: name, keys: listOf(plainKey, 1) }, ['name', 'plan']), 1),
    backends: listOf(backend, 1),
    models: listOf(
      shape(
        {
          name: modelName,
          kind: oneOf(Object.values(ModelKind)),
          backends: listOf(name, 1),
          expectedOutputTokens: whole(1, 1_000_000),
          degradedAnswer: text,
        },
        ['name', 'backends'],
      ),
      1,
    ),
    cache: shape({ ttlSeconds: whole(1, DAYS_30), staleSeconds: whole(0, DAYS_30) }, []),
    onStoreLoss: oneOf(Object.values(StoreLoss)),
  },
  ['plans', 'tenants', 'backends', 'models'],
);

/** Where the policy will be used. */
export interface ValidateOptions {
  /** Whether tenants may carry keys in plain text: true for a local run, false at synth. */
  readonly plainKeysAllowed: boolean;
}

/**
 * Everything that is wrong with a policy, in the order of its fields; empty for a valid one.
 *
 * Takes `unknown`, since a policy may come from a JSON file.
 */
export function validatePolicy(policy: unknown, options: ValidateOptions): Fault[] {
  const faults: Fault[] = [];
  policyShape(policy, '', faults);
  if (!isRecord(policy)) return faults;

  const plans = records(policy.plans);
  const tenants = records(policy.tenants);
  const backends = records(policy.backends);
  const models = records(policy.models);

  unique('plans', plans, faults);
  unique('tenants', tenants, faults);
  unique('backends', backends, faults);
  unique('models', models, faults);

  plans.forEach((entry, i) => {
    checkPlan(entry, `plans[${i}]`, faults);
    mustAllExist('model', entry.models, `plans[${i}].models`, models, faults);
  });
  tenants.forEach((entry, i) => {
    mustExist('plan', entry.plan, `tenants[${i}].plan`, plans, faults);
    if (entry.keys !== undefined && !options.plainKeysAllowed) {
      faults.push({
        path: `tenants[${i}].keys`,
        message:
          'must not be in a synthesised policy, where it would reach a template; leave it out: the API makes one',
      });
    }
  });
  checkKeysAreUnique(tenants, faults);
  backends.forEach((entry, i) => checkBackend(entry, `backends[${i}]`, faults));
  models.forEach((entry, i) => {
    mustAllExist('backend', entry.backends, `models[${i}].backends`, backends, faults);
    if (entry.kind === ModelKind.EMBEDDING && entry.degradedAnswer !== undefined) {
      faults.push({
        path: `models[${i}].degradedAnswer`,
        message: 'must be left out: an embedding has no text answer',
      });
    }
  });
  return faults;
}

/** Throws one error that names every fault of the policy. */
export function assertValidPolicy(policy: unknown, options: ValidateOptions): void {
  const faults = validatePolicy(policy, options);
  if (faults.length > 0) throw new Error(describeFaults(faults));
}

/** The faults as one message, a line each. */
export function describeFaults(faults: readonly Fault[]): string {
  const lines = faults.map((fault) => `  ${fault.path}: ${fault.message}`);
  return [`the policy has ${faults.length} fault${faults.length === 1 ? '' : 's'}:`, ...lines].join('\n');
}

function checkPlan(entry: Record<string, unknown>, path: string, faults: Fault[]): void {
  const order = (lower: string, upper: string) => {
    const [low, high] = [entry[lower], entry[upper]];
    if (typeof low === 'number' && typeof high === 'number' && low > high) {
      faults.push({ path: `${path}.${upper}`, message: `must be at least ${lower} (${low}), got ${high}` });
    }
  };
  order('tokensPerMinute', 'tokensPerDay');
  order('requestsPerMinute', 'requestsPerDay');
  const [most, perMinute] = [entry.maxTokensPerRequest, entry.tokensPerMinute];
  if (typeof most === 'number' && typeof perMinute === 'number' && most > perMinute) {
    faults.push({
      path: `${path}.maxTokensPerRequest`,
      message: `must be at most tokensPerMinute (${perMinute}), or such a request could never be admitted, got ${most}`,
    });
  }
}

function checkBackend(entry: Record<string, unknown>, path: string, faults: Fault[]): void {
  const timeouts = isRecord(entry.timeouts) ? entry.timeouts : {};
  const { firstTokenMs, totalMs } = timeouts;
  if (typeof firstTokenMs === 'number' && typeof totalMs === 'number' && firstTokenMs > totalMs) {
    faults.push({
      path: `${path}.timeouts.firstTokenMs`,
      message: `must be at most totalMs (${totalMs}), got ${firstTokenMs}`,
    });
  }
  const rules = isRecord(entry.breaker) ? entry.breaker : {};
  const size = isRecord(rules.window) ? rules.window.size : 100;
  if (typeof rules.minimumCalls === 'number' && typeof size === 'number' && rules.minimumCalls > size) {
    faults.push({
      path: `${path}.breaker.minimumCalls`,
      message: `must be at most the window's size (${size}), or the breaker could never open, got ${rules.minimumCalls}`,
    });
  }
}

/** A key must lead to one tenant. */
function checkKeysAreUnique(tenants: Record<string, unknown>[], faults: Fault[]): void {
  const seen = new Set<unknown>();
  tenants.forEach((tenant, i) => {
    const keys = Array.isArray(tenant.keys) ? (tenant.keys as unknown[]) : [];
    keys.forEach((key, j) => {
      if (seen.has(key)) faults.push({ path: `tenants[${i}].keys[${j}]`, message: 'must be unique to one tenant' });
      seen.add(key);
    });
  });
}

function records(value: unknown): Record<string, unknown>[] {
  return Array.isArray(value) ? value.map((entry: unknown) => (isRecord(entry) ? entry : {})) : [];
}

function unique(list: string, entries: Record<string, unknown>[], faults: Fault[]): void {
  const names = entries.map((entry) => entry.name);
  names.forEach((entry, i) => {
    if (typeof entry === 'string' && names.indexOf(entry) < i) {
      faults.push({ path: `${list}[${i}].name`, message: `must be unique, got ${show(entry)} again` });
    }
  });
}

function mustExist(
  what: string,
  target: unknown,
  path: string,
  entries: Record<string, unknown>[],
  faults: Fault[],
): void {
  if (typeof target !== 'string' || entries.some((entry) => entry.name === target)) return;
  const names = entries.map((entry) => show(entry.name)).join(', ') || 'none';
  faults.push({ path, message: `must name a ${what} of the policy (${names}), got ${show(target)}` });
}

/** Each name of a list must lead somewhere, and stand there once. */
function mustAllExist(
  what: string,
  targets: unknown,
  path: string,
  entries: Record<string, unknown>[],
  faults: Fault[],
): void {
  const list = Array.isArray(targets) ? (targets as unknown[]) : [];
  list.forEach((target, i) => {
    mustExist(what, target, `${path}[${i}]`, entries, faults);
    if (list.indexOf(target) < i) faults.push({ path: `${path}[${i}]`, message: `${show(target)} is listed twice` });
  });
}
