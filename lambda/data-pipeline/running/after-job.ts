import { RecordFormat } from '../../../lib/policy';
import type { ResolvedPipeline } from '../../../lib/policy/pipeline/pipeline-defaults';

/**
 * The pipeline as it is run on what its first stage, a Glue job, has written: every file of the job's output is JSON lines,
 * and the stage's contract is that of its output. Its work is done, so that each record passes it as it is.
 */
export function afterJob(pipeline: ResolvedPipeline): ResolvedPipeline {
  const [job, ...stages] = pipeline.stages;
  if (job?.work.kind !== 'glueJob') return pipeline;
  const { output } = job.contract;
  return {
    ...pipeline,
    source: { ...pipeline.source, format: RecordFormat.JSON_LINES, endings: [''] },
    stages: [{ ...job, contract: { ...job.contract, input: output } }, ...stages],
  };
}
