/** Where in the landing bucket the files of a pipeline land. */
export const INCOMING_PREFIX = 'incoming/';

/** Where in the landing bucket the sets of references and the golden set lie. */
export const REFERENCES_PREFIX = 'references/';

/** Where in the pipeline's bucket plans and results of runs lie, for some days. */
export const RUNS_PREFIX = 'runs/';

/** Where in the pipeline's bucket a Glue job writes. */
export const JOBS_PREFIX = 'jobs/';
