import type { ResolvedBackend } from '../../lib/policy/defaults';
import type { Announce } from './announce';
import {
  type BreakerReading,
  type BreakerReport,
  effectiveOpenUntil,
  effectiveStatus,
  reportOf,
} from './breaker-report';
import { type Force, parseControlRequest } from './override';

/** What an operator's requests need from outside. */
export interface ControlPorts {
  readonly backends: readonly ResolvedBackend[];
  /** Reads breakers, in order. */
  readonly read: (backends: readonly string[]) => Promise<readonly BreakerReading[]>;
  /** Makes a breaker do as it is told. */
  readonly force: (
    backend: string,
    force: Force,
    forMs?: number,
  ) => Promise<{ readonly before: BreakerReading; readonly after: BreakerReading }>;
  readonly announce: Announce;
}

/** The answer to an operator: the breakers that were asked about, or the one that was commanded, as they are now. */
export interface ControlAnswer {
  readonly breakers: readonly BreakerReport[];
}

/**
 * Does what an operator asks. An override is announced as a change, also where it leaves the breaker as it was: someone
 * has taken it over, or holds it for longer.
 *
 * @throws InvalidRequest where the request is none
 */
export async function control(request: unknown, ports: ControlPorts): Promise<ControlAnswer> {
  const { backends, read, force, announce } = ports;
  const asked = parseControlRequest(
    request,
    backends.map(({ name }) => name),
  );
  const reports = (names: readonly string[], readings: readonly BreakerReading[]): ControlAnswer => ({
    breakers: names.flatMap((name, i) => {
      const rules = backends.find((backend) => backend.name === name)?.breaker;
      const reading = readings[i];
      return rules && reading ? [reportOf(name, reading, rules)] : [];
    }),
  });
  if (asked.kind === 'report') return reports(asked.backends, await read(asked.backends));

  const { before, after } = await force(asked.backend, asked.force, asked.forMs);
  const openUntil = effectiveOpenUntil(after);
  await announce([
    {
      backend: asked.backend,
      from: effectiveStatus(before),
      to: effectiveStatus(after),
      at: after.now,
      reason: 'operator',
      ...(openUntil !== undefined && { openUntil }),
    },
  ]);
  return reports([asked.backend], [after]);
}
