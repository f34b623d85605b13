import { ModelTask } from '../auto-scaling/model-server';
import { isFleet } from '../policy/fleet-backends';
import type { InferencePolicy } from '../policy/policy';
import type { InferencePlatformProps } from './inference-platform-props';
import { taskOf } from './model-task';
import { dataBackends, dataFaults } from './validate-data';

/** Throws one error that names each part that the policy needs and is not given, or that does not go with it. */
export function validateParts({
  policy,
  fleets = {},
  scaling = {},
  dataPipelines = {},
  featureStores = {},
}: InferencePlatformProps): void {
  const faults = dataFaults(policy, dataPipelines, featureStores);
  const answered = dataBackends(dataPipelines, featureStores);
  const needing = policy.backends.filter(isFleet).map(({ name }) => name);
  const fleetNames = needing.filter((name) => !answered.includes(name));
  for (const name of fleetNames) if (!fleets[name]) faults.push(missingPart(policy, name));
  for (const [field, given] of Object.entries({ fleets, scaling })) {
    for (const name of Object.keys(given)) {
      if (answered.includes(name)) {
        faults.push(
          `${field}["${name}"]: the backend is answered by a pipeline or a feature store: leave one of them out`,
        );
      } else if (!needing.includes(name)) {
        const known = fleetNames.join(', ') || 'none';
        faults.push(`${field}["${name}"]: must name a backend without url and bedrock (${known})`);
      }
    }
  }
  if (faults.length > 0) throw new Error(faults.join('\n'));
}

/** A backend of services may be answered by more than a fleet. */
function missingPart(policy: InferencePolicy, name: string): string {
  const isService = taskOf(policy, { name }) === ModelTask.OTHER;
  return (
    `fleets["${name}"]: is required, since the backend has neither url nor bedrock: say what model it loads` +
    (isService ? '; or give a pipeline that publishes an index, or a feature store, this backend' : '')
  );
}
