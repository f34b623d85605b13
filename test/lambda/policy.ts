import { type ResolvedBackend, type ResolvedPolicy, resolvePolicy } from '../../lib/policy/defaults';
import { ModelKind } from '../../lib/policy/model';
import { type InferencePolicy } from '../../lib/policy/policy';

/** A small policy for tests; `changes` replace its parts. */
export function policy(changes: Partial<InferencePolicy> = {}): ResolvedPolicy {
  return resolvePolicy({
    plans: [{ name: 'standard', requestsPerMinute: 600, tokensPerMinute: 60_000, tokensPerDay: 600_000 }],
    tenants: [{ name: 'acme', plan: 'standard' }],
    backends: [{ name: 'first' }, { name: 'second' }],
    models: [
      { name: 'llama', backends: ['first', 'second'] },
      { name: 'base', kind: ModelKind.COMPLETION, backends: ['first'] },
      { name: 'embedder', kind: ModelKind.EMBEDDING, backends: ['first'] },
    ],
    ...changes,
  });
}

/** A backend with every default. */
export function backend(changes: Partial<InferencePolicy['backends'][number]> = {}): ResolvedBackend {
  return policy({ backends: [{ name: 'first', ...changes }] }).backends[0]!;
}
