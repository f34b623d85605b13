import type { BreakerStatus } from '../circuit-breaking/breaker';
import type { BreakerReading } from '../circuit-breaking/breaker-report';
import forceText from '../circuit-breaking/force.lua';
import type { Force } from '../circuit-breaking/override';
import { script } from './scripts';
import { breakerKey } from './keys';
import preludeText from './prelude.lua';
import { BREAKER_LIFE_MS } from './settlement-script';
import type { Trip } from './valkey-store';

const FORCE = script(preludeText, forceText);

/** The breakers in the shared store, for an operator to read and to command. */
export class BreakerDesk {
  constructor(private readonly trip: Trip) {}

  /** Reads breakers in one trip; one that no call has touched yet is closed. */
  public async read(backends: readonly string[]): Promise<BreakerReading[]> {
    const replies = await this.trip(backends.map((backend) => command(backend, '')));
    return replies.map((reply) => readingOf(reply as Reply).after);
  }

  /** Makes a breaker do as it is told, and says how it was before and is now. */
  public async force(
    backend: string,
    force: Force,
    forMs?: number,
  ): Promise<{ readonly before: BreakerReading; readonly after: BreakerReading }> {
    const [reply] = await this.trip([command(backend, force, forMs)]);
    return readingOf(reply as Reply);
  }
}

type Reply = readonly [string, string, string, string, string, string, string, string, string];

function command(backend: string, force: Force | '', forMs?: number) {
  const args = [force, forMs === undefined ? '' : String(forMs), String(BREAKER_LIFE_MS)];
  return { script: FORCE, keys: [breakerKey(backend)], args };
}

function readingOf([now, status, until, window, cooldown, ...orders]: Reply): {
  readonly before: BreakerReading;
  readonly after: BreakerReading;
} {
  const reading = {
    now: Number(now),
    status: (status || 'closed') as BreakerStatus,
    openUntil: Number(until),
    window,
    cooldownUntil: Number(cooldown),
  };
  const [forced, forcedUntil, before, beforeUntil] = orders;
  const ordered = (order: string, end: string) => ({
    forced: order as BreakerReading['forced'],
    forcedUntil: Number(end),
  });
  return {
    before: { ...reading, ...ordered(before, beforeUntil) },
    after: { ...reading, ...ordered(forced, forcedUntil) },
  };
}
