import type { ResolvedPolicy } from '../../../lib/policy/defaults';
import { ModelKind } from '../../../lib/policy/model';

/**
 * The longest that a request of a model may take, in milliseconds: every backend of its chain in vain but the last, as
 * long as each may. Nothing for a model that there is none of, which is found out at once.
 *
 * @param name as items name it: of a service, its path
 */
export function longestRequestMs(
  { models, backends }: Pick<ResolvedPolicy, 'models' | 'backends'>,
  name: string,
): number {
  const model = models.find((candidate) => nameOf(candidate) === name);
  const chain = backends.filter((backend) => model?.backends.includes(backend.name));
  return chain.reduce((sum, { timeouts }) => sum + timeouts.totalMs, 0);
}

function nameOf({ kind, name }: ResolvedPolicy['models'][number]): string {
  return kind === ModelKind.SERVICE ? `/v1/services/${name}` : name;
}
