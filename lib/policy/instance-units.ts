/** What the instances of a fleet count for, in units of its capacity. */
export interface InstanceUnits {
  /** What its smallest instances count for. */
  readonly smallest: number;

  /** What its largest instances count for. */
  readonly largest: number;

  /** What divides all of them: its capacity changes by no less. */
  readonly step: number;
}
