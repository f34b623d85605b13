import { controlPipeline } from '../data-pipeline/versions/control';
import { pipelineOf, startRun, versionPorts } from '../pipeline-store/environment';

const environment = process.env;
const ports = versionPorts(environment, pipelineOf(environment).name);

/** Entry point for operators: shows versions, goes back to an earlier one, traces records, and redrives quarantine. */
export function handler(request: unknown): Promise<object> {
  return controlPipeline(request, {
    ...ports,
    redrive: (version) => startRun(environment, { redrive: version }),
  });
}
