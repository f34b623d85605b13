/**
 * How urgent a request is. Interactive requests may use everything; those of batches and jobs are admitted up to the
 * policy's `batch.ceiling` only, and can wait: they get no second call beside the first and no answer that merely stands in.
 */
export type Priority = 'interactive' | 'batch';
