import type { Backend } from '../../../lib/policy/backend';
import type { InferencePolicy } from '../../../lib/policy/policy';
import type { Model } from '../../../lib/policy/model';

/** What a test of batches is about. */
interface Subject {
  readonly tenants: readonly string[];
  readonly backend?: Omit<Backend, 'name' | 'url'>;
  readonly model?: Omit<Model, 'name' | 'backends'>;
}

/** A policy of one model on one backend, whose plan holds nobody back. */
export function batchPolicy(url: string, { tenants, backend, model }: Subject): InferencePolicy {
  const plan = { requestsPerMinute: 1_000_000, tokensPerMinute: 100_000_000, parallelRequests: 1000 };
  return {
    plans: [{ name: 'standard', ...plan }],
    tenants: tenants.map((name) => ({ name, plan: 'standard' })),
    backends: [{ name: 'model', url, ...backend }],
    models: [{ name: 'llama', backends: ['model'], ...model }],
  };
}
