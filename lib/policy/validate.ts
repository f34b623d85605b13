import { repeatsVersion } from './fleet-backends';
import { type Fault, isRecord, show } from './fields';
import { BreakerWindowKind } from './backend';
import { ModelKind } from './model';
import { policyShape } from './shape';

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
    checkModelLimits(entry, `plans[${i}]`, models, faults);
    checkPrices(entry, `plans[${i}].moneyPerMonth`, models, faults);
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
    checkModel(entry, `models[${i}]`, faults);
    checkBedrock(entry, `models[${i}]`, backends, faults);
  });
  checkIssuers(records(policy.issuers), faults);
  if (isRecord(policy.cache)) checkCache(policy.cache, models, faults);
  if (isRecord(policy.batch)) checkBatch(policy.batch, faults);
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
  if (typeof timeouts.idleMs === 'number' && typeof totalMs === 'number' && timeouts.idleMs > totalMs) {
    faults.push({
      path: `${path}.timeouts.idleMs`,
      message: `must be at most totalMs (${totalMs}), got ${timeouts.idleMs}`,
    });
  }
  for (const field of ['url', 'path', 'modelName']) {
    if (entry.bedrock !== undefined && entry[field] !== undefined) {
      faults.push({
        path: `${path}.${field}`,
        message: 'must be left out: bedrock says where and what the backend is',
      });
    }
  }
  if (typeof entry.url === 'string' && repeatsVersion(entry.url, entry.path as string | undefined)) {
    faults.push({
      path: `${path}.url`,
      message: `must end before /v1, which each call begins with, got ${show(entry.url)}: leave /v1 out`,
    });
  }
  checkBreaker(isRecord(entry.breaker) ? entry.breaker : {}, path, faults);
}

function checkBreaker(rules: Record<string, unknown>, path: string, faults: Fault[]): void {
  const [open, most] = [rules.openMs ?? 30_000, rules.maxOpenMs];
  if (typeof open === 'number' && typeof most === 'number' && most < open) {
    faults.push({ path: `${path}.breaker.maxOpenMs`, message: `must be at least openMs (${open}), got ${most}` });
  }
  const window = isRecord(rules.window) ? rules.window : { kind: BreakerWindowKind.COUNT, size: 100 };
  if (window.kind !== BreakerWindowKind.COUNT) return;
  const { size } = window;
  if (typeof size === 'number' && size > 1000) {
    faults.push({ path: `${path}.breaker.window.size`, message: `must be at most 1000 calls, got ${size}` });
  }
  if (typeof rules.minimumCalls === 'number' && typeof size === 'number' && rules.minimumCalls > size) {
    faults.push({
      path: `${path}.breaker.minimumCalls`,
      message: `must be at most the window's size (${size}), or the breaker could never open, got ${rules.minimumCalls}`,
    });
  }
}

/** A limit of a model lies within the plan's, for a model that the plan may use. */
function checkModelLimits(
  plan: Record<string, unknown>,
  path: string,
  models: Record<string, unknown>[],
  faults: Fault[],
): void {
  const limits = records(plan.modelLimits);
  const usable = Array.isArray(plan.models)
    ? models.filter(({ name }) => (plan.models as unknown[]).includes(name))
    : models;
  limits.forEach((limit, i) => {
    const at = `${path}.modelLimits[${i}]`;
    mustExist('model', limit.model, `${at}.model`, usable, faults);
    if (limits.findIndex(({ model }) => model === limit.model) < i) {
      faults.push({ path: `${at}.model`, message: `must be unique, got ${show(limit.model)} again` });
    }
    if (['requestsPerMinute', 'tokensPerMinute', 'tokensPerDay'].every((field) => limit[field] === undefined)) {
      faults.push({ path: at, message: 'must set requestsPerMinute, tokensPerMinute or tokensPerDay' });
    }
    for (const field of ['requestsPerMinute', 'tokensPerMinute', 'tokensPerDay']) {
      const [own, whole] = [limit[field], plan[field]];
      if (typeof own === 'number' && typeof whole === 'number' && own > whole) {
        faults.push({ path: `${at}.${field}`, message: `must be at most the plan's (${whole}), got ${own}` });
      }
    }
    const [minute, day] = [limit.tokensPerMinute, limit.tokensPerDay];
    if (typeof minute === 'number' && typeof day === 'number' && day < minute) {
      faults.push({ path: `${at}.tokensPerDay`, message: `must be at least tokensPerMinute (${minute}), got ${day}` });
    }
    const [largest, perMinute] = [plan.maxTokensPerRequest, limit.tokensPerMinute];
    if (typeof largest === 'number' && typeof perMinute === 'number' && perMinute < largest) {
      faults.push({
        path: `${at}.tokensPerMinute`,
        message: `must be at least the plan's maxTokensPerRequest (${largest}), or such a request could never be admitted, got ${perMinute}`,
      });
    }
  });
}

/** Money is counted where every model that may be used has a price. */
function checkPrices(
  plan: Record<string, unknown>,
  path: string,
  models: Record<string, unknown>[],
  faults: Fault[],
): void {
  if (plan.moneyPerMonth === undefined) return;
  const used = models.filter(({ name }) => !Array.isArray(plan.models) || plan.models.includes(name));
  const unpriced = used.filter(({ price }) => price === undefined).map(({ name }) => show(name));
  if (unpriced.length > 0) {
    faults.push({ path, message: `needs a price for each model of the plan; ${unpriced.join(', ')} has none` });
  }
}

function checkModel(entry: Record<string, unknown>, path: string, faults: Fault[]): void {
  const chain = Array.isArray(entry.backends) ? (entry.backends as unknown[]) : [];
  for (const backend of Object.keys(isRecord(entry.weights) ? entry.weights : {})) {
    if (!chain.includes(backend)) {
      faults.push({
        path: `${path}.weights["${backend}"]`,
        message: `must name one of the model's backends (${chain.map(show).join(', ')})`,
      });
    }
  }
  if (entry.hedging !== undefined && chain.length < 2) {
    faults.push({ path: `${path}.hedging`, message: 'needs a second backend, got one' });
  }
  if (entry.kind === ModelKind.SERVICE && typeof entry.name === 'string' && /[/:]/.test(entry.name)) {
    faults.push({
      path: `${path}.name`,
      message: `must have neither / nor :, since a service's name is one part of its path, got ${show(entry.name)}`,
    });
  }
  if (entry.kind === ModelKind.SERVICE && entry.degradedAnswer !== undefined) {
    faults.push({ path: `${path}.degradedAnswer`, message: 'must be left out: a service has no text answer' });
  }
}

/** Bedrock answers chats alone: its other interfaces differ from model to model. */
function checkBedrock(
  model: Record<string, unknown>,
  path: string,
  backends: Record<string, unknown>[],
  faults: Fault[],
): void {
  if (model.kind === undefined || model.kind === ModelKind.CHAT || !Array.isArray(model.backends)) return;
  model.backends.forEach((name, i) => {
    if (backends.some((backend) => backend.name === name && backend.bedrock !== undefined)) {
      faults.push({ path: `${path}.backends[${i}]`, message: `must not be of Bedrock, which serves chat models only` });
    }
  });
}

function checkIssuers(issuers: Record<string, unknown>[], faults: Fault[]): void {
  issuers.forEach(({ issuer }, i) => {
    if (typeof issuer === 'string' && issuers.findIndex((other) => other.issuer === issuer) < i) {
      faults.push({ path: `issuers[${i}].issuer`, message: `must be unique, got ${show(issuer)} again` });
    }
  });
}

function checkCache(cache: Record<string, unknown>, models: Record<string, unknown>[], faults: Fault[]): void {
  const [again, stale] = [cache.revalidateSeconds, cache.staleSeconds ?? 86_400];
  if (typeof again === 'number' && typeof stale === 'number' && again > stale) {
    faults.push({ path: 'cache.revalidateSeconds', message: `must be at most staleSeconds (${stale}), got ${again}` });
  }
  const wanted = isRecord(cache.semantic) ? cache.semantic.embeddingModel : undefined;
  const embedding = models.filter(({ kind }) => kind === ModelKind.EMBEDDING);
  mustExist('model of the kind embedding', wanted, 'cache.semantic.embeddingModel', embedding, faults);
}

function checkBatch(batch: Record<string, unknown>, faults: Fault[]): void {
  const { maxFileBytes: file = 1024 ** 3, maxLineBytes: line = 1024 ** 2 } = batch;
  if (typeof file === 'number' && typeof line === 'number' && line > file) {
    faults.push({ path: 'batch.maxLineBytes', message: `must be at most maxFileBytes (${file}), got ${line}` });
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
