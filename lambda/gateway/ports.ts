import type { ResolvedPolicy } from '../../lib/policy/defaults';
import type { Announce } from '../circuit-breaking/announce';
import type { Timer } from '../fault-tolerance/hedge';
import type { RecordSink } from '../observability/request-record';
import type { CallBackend } from './backend-port';
import type { RequestStore, StandInStore } from './request-store';
import type { SemanticPorts } from './semantic-step';

/** Everything that the gateway needs from outside. */
export interface GatewayPorts {
  readonly policy: ResolvedPolicy;
  /** The shared store. */
  readonly store: RequestStore;
  /** Stands in while the shared store is lost. */
  readonly localStore: StandInStore;
  readonly callBackend: CallBackend;
  /** Where questions are kept, for a policy with `cache.semantic`. */
  readonly semantic?: SemanticPorts;
  readonly record: RecordSink;
  /** Tells of breakers that a request has moved, once its answer is sent. */
  readonly announce: Announce;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** From 0 up to 1. */
  readonly random: () => number;
  readonly pause: (ms: number) => Promise<void>;
  readonly timer: Timer;
  /** A new id: letters, digits and hyphens. */
  readonly newId: () => string;
}
