import { auditLines, indexLine, publishedLine, stageLines } from '../data-pipeline/pipeline-lines';
import { assertRedrivable } from '../data-pipeline/running/legs';
import type { RunRequest } from '../data-pipeline/running/run-request';
import type { Audit } from '../data-pipeline/running/steps';
import type { ShardPlan } from '../data-pipeline/reading/shard-plan';
import { lineWriter } from '../observability/line-writer';
import { pipelineOf, pipelineSteps, queryEmbedder, runFiles, vectorIndexes } from '../pipeline-store/environment';
import { requiredVariable } from '../security/environment';

/** Which leg of the pipeline it is, from 0, and where its files are. */
interface RunInput {
  readonly leg: number;
  readonly prefix: string;
  /** Whether a Glue job of the pipeline has written them. */
  readonly isJobOutput: boolean;
}

/** What the state machine asks: a step of a run, or a batch of the distributed map. */
type StageEvent =
  | ({ readonly step: 'plan'; readonly request: RunRequest; readonly after?: string } & RunInput)
  | { readonly step: 'handOver'; readonly leg: number; readonly run: string; readonly prefix: string }
  | { readonly step: 'audit' | 'tidy'; readonly run: string }
  | { readonly step: 'publish'; readonly run: string; readonly sequence: number; readonly again: boolean }
  | { readonly step: 'fill' | 'index'; readonly version: string }
  | { readonly BatchInput: { readonly run: string } & RunInput; readonly Items: readonly ShardPlan[] };

const environment = process.env;
const pipeline = pipelineOf(environment);
const legs = pipelineSteps(environment);
// What is done once for a run is done on what its last leg gave.
const steps = legs.at(-1)!;
const names = {
  namespace: requiredVariable(environment, 'METRICS_NAMESPACE'),
  pipeline: requiredVariable(environment, 'PIPELINE_NAME'),
};
const writeLine = lineWriter(process.stdout);

/** A part of a version is read and put into the index in this time. */
const LAST_MINUTES_MS = 300_000;

/** Entry point of the state machine: takes one step of a run. */
export async function handler(
  event: StageEvent,
  context: { readonly getRemainingTimeInMillis: () => number },
): Promise<object> {
  if ('BatchInput' in event) {
    const { leg, run, prefix, isJobOutput } = event.BatchInput;
    const { read, seconds } = await legs[leg]!.shards(run, event.Items, runFiles(environment, prefix, isJobOutput));
    for (const line of stageLines(seconds, Date.now(), names)) writeLine(line);
    return { read };
  }
  switch (event.step) {
    case 'plan': {
      const { leg, request, after, prefix, isJobOutput } = event;
      if (request.redrive !== undefined) assertRedrivable(pipeline);
      const asked = { ...request, ...(after !== undefined && { after }) };
      return legs[leg]!.plan(asked, runFiles(environment, prefix, isJobOutput));
    }
    case 'handOver': {
      const audit = await legs[event.leg]!.handOver(event.run, event.prefix);
      // Of a run that goes on, the audit at its end tells all.
      return audit.isHeld ? told(audit) : audit;
    }
    case 'audit':
      return told(await steps.audit(event.run));
    case 'publish': {
      const publication = await steps.publish(event.run, event.sequence, event.again);
      writeLine(publishedLine(publication, Date.now(), names));
      return publication;
    }
    case 'fill':
      return steps.fill(
        event.version,
        vectorIndexes(environment, pipeline),
        () => context.getRemainingTimeInMillis() > LAST_MINUTES_MS,
      );
    case 'index': {
      const change = await steps.index(
        event.version,
        vectorIndexes(environment, pipeline),
        queryEmbedder(environment, pipeline),
      );
      writeLine(indexLine(change, Date.now(), names));
      return { ...change, missed: change.missed.length };
    }
    case 'tidy':
      return steps.tidy(event.run);
  }
}

/** Tells the log what an audit came to, and the state machine what it needs of it. */
function told(audit: Audit): object {
  for (const line of auditLines(audit, Date.now(), names)) writeLine(line);
  const { findings, ...rest } = audit;
  // A state machine carries 256 kB; the log has all of them.
  return { ...rest, anomalies: findings.filter(({ isAlarm }) => isAlarm).slice(0, 50) };
}
