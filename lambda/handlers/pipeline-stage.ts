import { auditLines } from '../data-pipeline/pipeline-lines';
import type { RunRequest } from '../data-pipeline/running/steps';
import type { ShardPlan } from '../data-pipeline/reading/shard-plan';
import { lineWriter } from '../observability/line-writer';
import { pipelineOf, pipelineSteps, queryEmbedder, runFiles, vectorIndexes } from '../pipeline-store/environment';
import { requiredVariable } from '../security/environment';

/** Where the files of a run are. */
interface RunInput {
  readonly prefix: string;
  /** Whether the pipeline's Glue job has written them. */
  readonly isJobOutput: boolean;
}

/** What the state machine asks: a step of a run, or a batch of the distributed map. */
type StageEvent =
  | ({ readonly step: 'plan'; readonly request: RunRequest } & RunInput)
  | { readonly step: 'audit' | 'tidy'; readonly run: string }
  | { readonly step: 'publish'; readonly run: string; readonly sequence: number }
  | { readonly step: 'index'; readonly version: string }
  | { readonly BatchInput: { readonly run: string } & RunInput; readonly Items: readonly ShardPlan[] };

const environment = process.env;
const pipeline = pipelineOf(environment);
const steps = pipelineSteps(environment);
const names = {
  namespace: requiredVariable(environment, 'METRICS_NAMESPACE'),
  pipeline: requiredVariable(environment, 'PIPELINE_NAME'),
};
const writeLine = lineWriter(process.stdout);

/** Entry point of the state machine: takes one step of a run. */
export async function handler(event: StageEvent): Promise<object> {
  if ('BatchInput' in event) {
    const { run, prefix, isJobOutput } = event.BatchInput;
    return steps.shards(run, event.Items, runFiles(environment, prefix, isJobOutput));
  }
  switch (event.step) {
    case 'plan':
      return steps.plan(event.request, runFiles(environment, event.prefix, event.isJobOutput));
    case 'audit': {
      const { findings, ...audit } = await steps.audit(event.run);
      for (const line of auditLines({ findings, ...audit }, Date.now(), names)) writeLine(line);
      // A state machine carries 256 kB; the log has all of them.
      return { ...audit, anomalies: findings.filter(({ isAlarm }) => isAlarm).slice(0, 50) };
    }
    case 'publish':
      return steps.publish(event.run, event.sequence);
    case 'index': {
      const { missed, ...change } = await steps.index(
        event.version,
        vectorIndexes(environment, pipeline),
        queryEmbedder(environment, pipeline),
      );
      writeLine(
        JSON.stringify({ Pipeline: names.pipeline, message: 'pipeline index', ...change, missed: missed.slice(0, 20) }),
      );
      return { ...change, missed: missed.length };
    }
    case 'tidy':
      return steps.tidy(event.run);
  }
}
