import { assertRedrivable } from '../data-pipeline/running/legs';
import { controlPipeline } from '../data-pipeline/versions/control';
import { pipelineOf, startRun, versionPorts } from '../pipeline-store/environment';

const environment = process.env;
const pipeline = pipelineOf(environment);
const ports = versionPorts(environment, pipeline.name);

/** Entry point for operators: shows versions, goes back to an earlier one, traces records, and redrives quarantine. */
export function handler(request: unknown): Promise<object> {
  return controlPipeline(request, {
    ...ports,
    redrive: async (version) => {
      assertRedrivable(pipeline);
      return startRun(environment, { redrive: version });
    },
    ...(pipeline.retrieval && { index: (version: string) => startRun(environment, { index: version }) }),
  });
}
