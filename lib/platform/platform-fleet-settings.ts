import type { Duration } from 'aws-cdk-lib';
import type { FleetSettings } from '../auto-scaling/fleet-settings';
import type { Balancing } from '../load-balancing/balancing';

/** A fleet of a platform, and how its endpoint divides the requests among its instances. */
export interface PlatformFleetSettings extends FleetSettings {
  /**
   * How the instance for a request is chosen. `BOUNDED_CONCURRENCY` gives the fleet a `concurrencyControl`, too.
   *
   * @default Balancing.LEAST_OUTSTANDING_REQUESTS
   */
  readonly balancing?: Balancing;

  /**
   * How long the share of a new instance grows until it is that of the others. With `Balancing.ROUND_ROBIN` only.
   *
   * @default - the full share at once
   */
  readonly slowStart?: Duration;
}
