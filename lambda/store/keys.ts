/**
 * The store's keys. One request's keys lie in different slots of a cluster, and one script touches them all: the store
 * is a replication group with one shard, whose single thread admits some 20,000 requests a second.
 */

/** A tenant's limits: arrival times, and what the month has cost. */
export function limitsKey(tenant: string): string {
  return `{${tenant}}:limits`;
}

/** A tenant's requests in progress, with the ends of their leases. */
export function slotsKey(tenant: string): string {
  return `{${tenant}}:parallel`;
}

/** A backend's breaker, with its cool-down and what an operator has ordered. */
export function breakerKey(backend: string): string {
  return `breaker:{${backend}}`;
}

/** How much a fleet lets in at one time. */
export function roomKey(backend: string): string {
  return `room:{${backend}}`;
}

/** What a backend has in progress. */
export function loadKey(backend: string): string {
  return `load:{${backend}}`;
}
