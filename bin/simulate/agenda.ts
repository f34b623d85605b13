/** What happens in a run; what each is about is its subject. */
export const Happening = {
  /** An instance ends a run of steps. */
  STEPS_DONE: 1,
  /** An instance answers its first request. */
  IN_SERVICE: 2,
  /** An instance that drains is ended, whatever it still does. */
  DRAIN_LIMIT: 3,
  /** A fleet's metric has a datapoint. */
  DATAPOINT: 4,
  /** A request has waited as long as its backend may take to the first token. */
  FIRST_TOKEN_LIMIT: 5,
  /** A request is sent again. */
  RETRY: 6,
  /** The load balancer gives a target up that it cannot connect to. */
  CONNECT_FAILED: 7,
  /** A service outside the platform gives the first token, the last token. */
  SERVICE_BEGINS: 8,
  SERVICE_ENDS: 9,
  /** A zone goes silent; health checks and Auto Scaling notice. */
  ZONE_LOST: 10,
  ZONE_NOTICED: 11,
  /** The run's state is written down for the plot. */
  SAMPLE: 12,
} as const;
export type Happening = (typeof Happening)[keyof typeof Happening];

/** Where the parts of a simulation put what is to happen later; times are seconds from its start. */
export interface Agenda {
  add(time: number, kind: Happening, subject: number, version?: number): void;
}
