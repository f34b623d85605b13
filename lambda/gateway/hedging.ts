import type { ResolvedBackend } from '../../lib/policy/defaults';
import type { FirstByteTimes } from '../fault-tolerance/first-byte-times';
import type { Timer } from '../fault-tolerance/hedge';
import type { Attempt, Hedging } from '../fault-tolerance/route';
import type { Answer } from './attempt';
import type { InferenceRequest } from './inference-request';

/** What hedging needs from outside. */
export interface HedgingPorts {
  readonly firstBytes: FirstByteTimes;
  readonly timer: Timer;
  /** Whether a backend may be called without asking its breaker. */
  readonly isFree: (backend: ResolvedBackend) => boolean;
}

/** The rules by which a request's first call gets a second beside it; undefined where its model wants none. */
export function hedgingOf(request: InferenceRequest, { firstBytes, timer, isFree }: HedgingPorts): Hedging | undefined {
  const settings = request.model.hedging;
  if (!settings) return undefined;
  return {
    delayMs: (backend) => {
      const usual = firstBytes.percentile(kindOf(backend, request), settings.percentile);
      return usual === undefined ? undefined : Math.max(usual, settings.minimumDelayMs);
    },
    isFree,
    // That it took at least as long keeps the percentile where it is; left out, slow calls would make it sink.
    noteGivenUp: (backend, afterMs) => {
      firstBytes.note(kindOf(backend, request), afterMs);
    },
    timer,
  };
}

/** Notes how long an answer's first byte took, for the requests to come. */
export function noteFirstByte(
  firstBytes: FirstByteTimes,
  backend: ResolvedBackend,
  request: InferenceRequest,
  result: Attempt<Answer, unknown>,
): void {
  if (request.model.hedging && result.kind === 'answered') {
    firstBytes.note(kindOf(backend, request), result.answer.firstByteMs);
  }
}

/** Calls that are alike: what comes whole takes as long as all of it, a stream as long as its first token. */
function kindOf({ name }: ResolvedBackend, { endpoint, model, stream }: InferenceRequest): string {
  return `${name} ${model.name} ${endpoint} ${stream ? 'stream' : 'whole'}`;
}
