/** How much background work may take, and how large it may be: batches of files, and single jobs. */
export interface BatchSettings {
  /**
   * Share of each limit of a tenant, of its parallel requests and of each backend's `capacityTokens` up to which
   * background work may fill it, above 0, at most 1. What is above it is for interactive requests.
   *
   * @default 0.7
   */
  readonly ceiling?: number;

  /**
   * Items of background work in progress at the same time, all tenants together, 2 to 10,000. From 10 on in steps of
   * five, since a worker takes five at a time (more beyond 5,000): of anything between, the step below.
   *
   * @default 50
   */
  readonly parallelItems?: number;

  /**
   * The most requests in one batch, 1 to 1,000,000.
   *
   * @default 100000
   */
  readonly maxRequests?: number;

  /**
   * The largest file that may be uploaded, 1,024 bytes to 5 GiB.
   *
   * @default - 1 GiB
   */
  readonly maxFileBytes?: number;

  /**
   * The longest line of an input file, 1,024 bytes to 6 MiB, and the largest request of a single job.
   *
   * @default - 1 MiB
   */
  readonly maxLineBytes?: number;

  /**
   * Days for which files and results are kept, 1 to 3,650.
   *
   * @default 30
   */
  readonly retentionDays?: number;

  /**
   * How often an item may be begun whose workers die at it, before it is set aside as a dead letter, 1 to 100.
   *
   * @default 5
   */
  readonly maxAttempts?: number;
}

/** Where a tenant is told of batches and jobs that have ended. */
export interface TenantWebhook {
  /** An `https://` address, which gets signed calls (Standard Webhooks). */
  readonly url: string;
}
