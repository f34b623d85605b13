/** What an operator may make a breaker do: let no call through, let all through, or judge by itself again. */
export type Force = 'open' | 'closed' | 'none';

const FORCES: readonly Force[] = ['open', 'closed', 'none'];

/** What an operator asks for. */
export type ControlRequest =
  /** How these breakers are. */
  | { readonly kind: 'report'; readonly backends: readonly string[] }
  /** That a breaker does as it is told, for so many milliseconds, or until that is withdrawn. */
  | { readonly kind: 'override'; readonly backend: string; readonly force: Force; readonly forMs?: number };

/** A week: what is meant to last longer belongs into the policy. */
const MOST_SECONDS = 604_800;

/** A request that is none, with all that is wrong with it, a line each. */
export class InvalidRequest extends Error {
  constructor(faults: readonly string[]) {
    super(faults.join('\n'));
    this.name = 'InvalidRequest';
  }
}

/**
 * Reads an operator's request: `{ "backend", "force", "forSeconds"? }` for an override, `{ "backend" }` or `{}` for a
 * report on one breaker or all.
 *
 * @param backends names of the policy's backends
 * @throws InvalidRequest with each field that is wrong, its value and what to write instead
 */
export function parseControlRequest(request: unknown, backends: readonly string[]): ControlRequest {
  if (typeof request !== 'object' || request === null || Array.isArray(request)) {
    throw new InvalidRequest([`must be an object such as {"backend": "${backends[0]}"}, got ${show(request)}`]);
  }
  const { backend, force, forSeconds, ...unknown } = request as Record<string, unknown>;
  const faults = Object.keys(unknown).map(
    (field) => `${field}: is no field of a request; the fields are backend, force and forSeconds`,
  );
  if (backend !== undefined && !backends.includes(backend as string)) {
    faults.push(`backend: must name a backend of the policy (${backends.map(show).join(', ')}), got ${show(backend)}`);
  }
  if (force !== undefined && !FORCES.includes(force as Force)) {
    faults.push(`force: must be one of ${FORCES.map(show).join(', ')}, got ${show(force)}`);
  }
  if (force !== undefined && backend === undefined) {
    faults.push('backend: is required with force: name the backend whose breaker is meant');
  }
  if (forSeconds !== undefined) faults.push(...faultsOfTime(forSeconds, force));
  if (faults.length > 0) throw new InvalidRequest(faults);

  if (force === undefined) return { kind: 'report', backends: backend === undefined ? backends : [backend as string] };
  const time = forSeconds !== undefined && { forMs: (forSeconds as number) * 1000 };
  return { kind: 'override', backend: backend as string, force: force as Force, ...time };
}

function faultsOfTime(forSeconds: unknown, force: unknown): string[] {
  if (force === undefined) return ['forSeconds: goes with force: say what the breaker shall do for that long'];
  if (force === 'none') return ['forSeconds: must be left out with force "none", which withdraws an override at once'];
  const isTime = Number.isInteger(forSeconds) && (forSeconds as number) >= 1 && (forSeconds as number) <= MOST_SECONDS;
  if (isTime) return [];
  return [
    `forSeconds: must be a whole number of 1 to ${MOST_SECONDS}, or left out for as long as it is not withdrawn, ` +
      `got ${show(forSeconds)}`,
  ];
}

function show(value: unknown): string {
  return JSON.stringify(value) ?? String(value);
}
