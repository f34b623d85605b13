import type { ResolvedWork } from '../../../lib/policy/pipeline/pipeline-defaults';
import type { Embedding } from '../storage';

type EmbedWork = Extract<ResolvedWork, { kind: 'embed' }>;

/**
 * Vectors of queries, in order, by what made the vectors of the index that is asked; by the definition's embed stage where
 * that is not known.
 */
export type EmbedQueries = (
  texts: readonly string[],
  embedding: Embedding | undefined,
) => Promise<readonly (readonly number[])[]>;

/**
 * Embeds queries as the records of an index were embedded, which may be otherwise than the definition says by now: after a
 * roll-back, or while the index of a new model is held back, a vector of today's model would be near to nothing, or to what it
 * should not.
 *
 * @param work the definition's embed stage
 * @param embedderOf embeds texts as an embed stage does
 */
export function queryEmbedderOf(
  work: EmbedWork,
  embedderOf: (work: EmbedWork) => (texts: readonly string[]) => Promise<number[][]>,
): EmbedQueries {
  return async (texts, embedding) => {
    const asked = { ...work, ...embedding };
    const vectors = await embedderOf(asked)(texts).catch((error: unknown) => {
      if (asked.model === work.model && asked.dimensions === work.dimensions) throw error;
      const words = ({ model, dimensions }: Embedding) => `${model} with ${dimensions} numbers`;
      const reason = error instanceof Error ? error.message : String(error);
      throw new Error(
        `the index holds vectors of ${words(asked)}, the definition embeds with ${words(work)}: run the pipeline (${reason})`,
        { cause: error },
      );
    });
    const wrong = vectors.find(({ length }) => length !== asked.dimensions);
    if (!wrong) return vectors;
    throw new Error(`${asked.model} gives a query ${wrong.length} numbers, where the index has ${asked.dimensions}`);
  };
}
