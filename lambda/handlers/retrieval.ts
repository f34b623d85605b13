import { Retriever } from '../data-pipeline/retrieval/retrieve';
import { answerService } from '../data-pipeline/service-call';
import { lineWriter } from '../observability/line-writer';
import { indexPointers, pipelineOf, queryEmbedder, vectorIndexes } from '../pipeline-store/environment';

const environment = process.env;
const pipeline = pipelineOf(environment);
const writeLine = lineWriter(process.stdout);
const retriever = new Retriever(pipeline.name, pipeline.retrieval?.results ?? 10, {
  active: indexPointers(environment, pipeline.name),
  indexes: vectorIndexes(environment, pipeline),
  embed: queryEmbedder(environment, pipeline),
  now: Date.now,
});

/** Entry point of the service: finds the records of the published version that are nearest to a query. */
export function handler(event: unknown): Promise<object> {
  return answerService(
    event,
    (request, fits) => retriever.retrieve(request, fits),
    (error) => {
      const message = error instanceof Error ? error.message : String(error);
      writeLine(
        JSON.stringify({
          level: 'warn',
          message: 'retrieval failed',
          pipeline: pipeline.name,
          'error.message': message,
        }),
      );
    },
  );
}
