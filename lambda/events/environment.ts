import type { BusEvent } from '../circuit-breaking/state-change';
import { type Environment, requiredVariable } from '../security/environment';
import { environmentCredentials } from '../security/environment-credentials';
import { putEvents } from './put-events';

/** Sends events to the bus that the function's environment names; undefined where it names none. */
export function eventPublisher(environment: Environment): ((events: readonly BusEvent[]) => Promise<void>) | undefined {
  const { EVENT_BUS: bus, AWS_ENDPOINT_URL_EVENTBRIDGE: endpoint } = environment;
  if (!bus) return undefined;
  const region = requiredVariable(environment, 'AWS_REGION');
  const settings = {
    bus,
    region,
    endpoint: endpoint ?? `https://events.${region}.${region.startsWith('cn-') ? 'amazonaws.com.cn' : 'amazonaws.com'}`,
    // Read anew for each call: Lambda renews them.
    credentials: () => environmentCredentials(environment),
    now: () => new Date(),
  };
  return (events) => putEvents(events, settings);
}
