/** Where the files of the offline tables lie in a feature store's bucket. The functions know the same names. */
export const OFFLINE_PREFIX = 'features/';

/** Where records lie that were refused. */
export const QUARANTINE_PREFIX = 'quarantine/';

/** Where samples of what was served lie. */
export const SAMPLES_PREFIX = 'samples/';

/** Where Athena puts results. */
export const RESULTS_PREFIX = 'athena/';

/** Where it is noted which files a compaction is about to replace. */
export const COMPACTION_PREFIX = 'compaction/';

/** Where it is noted that an entity was erased. */
export const ERASURES_PREFIX = 'erasures/';
