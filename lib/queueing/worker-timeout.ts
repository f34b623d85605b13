import { Duration } from 'aws-cdk-lib';
import { resolvePolicy } from '../policy/defaults';
import type { InferencePolicy } from '../policy/policy';

/** What a worker has on top of the longest request: for its items to wait out short refusals, and for its books. */
const SPARE_SECONDS = 90;

/** Lambda's limit of an invocation. */
const LONGEST_SECONDS = 900;

/**
 * How long a worker may run. It begins with no item whose request it could not see the end of, and the longest one asks
 * every backend of its chain in vain but the last, as long as each may take.
 */
export function workerTimeout(policy: InferencePolicy): Duration {
  const { models, backends } = resolvePolicy(policy);
  const chains = models.map((model) =>
    backends.reduce((sum, { name, timeouts }) => sum + (model.backends.includes(name) ? timeouts.totalMs : 0), 0),
  );
  return Duration.seconds(Math.min(LONGEST_SECONDS, Math.ceil(Math.max(...chains) / 1000) + SPARE_SECONDS));
}
