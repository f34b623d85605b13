import { ModelTask } from '../auto-scaling/model-server';
import type { Backend } from '../policy/backend';
import { ModelKind } from '../policy/model';
import type { InferencePolicy } from '../policy/policy';

/** What shows that a backend is ready: that it writes text, where any of its models does. */
export function taskOf(policy: InferencePolicy, backend: Pick<Backend, 'name'>): ModelTask {
  const kinds = policy.models.filter(({ backends }) => backends.includes(backend.name)).map(({ kind }) => kind);
  const only = (...named: ModelKind[]) => kinds.length > 0 && kinds.every((kind) => kind && named.includes(kind));
  if (only(ModelKind.SERVICE)) return ModelTask.OTHER;
  return only(ModelKind.EMBEDDING, ModelKind.SERVICE) ? ModelTask.EMBED : ModelTask.GENERATE;
}
