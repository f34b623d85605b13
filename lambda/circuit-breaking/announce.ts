import { type BusEvent, eventOf, type StateChange } from './state-change';

/** Tells the world of changed breakers. Never fails. */
export type Announce = (changes: readonly StateChange[]) => Promise<void>;

/** How changes are told. */
export interface AnnouncePorts {
  /** Name of the service in the events. */
  readonly service: string;
  /** Writes the change to the log, from which its metrics are made. */
  readonly log: (change: StateChange) => void;
  /** Sends events; undefined where no bus is set. */
  readonly publish?: (events: readonly BusEvent[]) => Promise<void>;
  /** Told why events were not sent. */
  readonly warn: (error: Error) => void;
}

/** Logs each change, then publishes all of them; that they could not be published is a warning and nobody's failure. */
export function announcer({ service, log, publish, warn }: AnnouncePorts): Announce {
  return async (changes) => {
    for (const change of changes) log(change);
    if (!publish || changes.length === 0) return;
    try {
      await publish(changes.map((change) => eventOf(change, service)));
    } catch (error) {
      warn(error instanceof Error ? error : new Error(String(error)));
    }
  };
}
