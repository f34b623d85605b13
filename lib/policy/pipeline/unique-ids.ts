import { type Fault, show } from '../fields';
import type { PipelineDefinition, PipelineStage } from './definition';

/**
 * Sees that no two records of a version have one `id`, of which a vector index would keep the last alone: a rule says so where
 * no stage can change the ids any more. Those of a chunk stage need none: they are made of the document's uri, the heading, the
 * piece and its number among its like, so that what shares one is the same piece.
 */
export function checkUniqueIds({ stages }: PipelineDefinition, faults: Fault[]): void {
  const maker = stages.findLastIndex(makesIds);
  if (stages[maker]?.work.chunk) return;
  const isRuled = stages
    .slice(Math.max(0, maker))
    .some(({ rules = [] }) => rules.some(({ unique }) => unique?.length === 1 && unique[0] === 'id'));
  if (isRuled) return;
  const where =
    maker < 0 ? 'a stage' : `stages[${maker}] (${show(stages[maker]!.name)}), which gives the ids, or in one after it`;
  const message = `needs the rule { "name": "one-id-each", "unique": ["id"] } in ${where}: of records that share an id an index keeps one, and the others would be lost`;
  faults.push({ path: 'retrieval', message });
}

/** Whether what a stage gives may have other ids than what it takes, or more records of one id. */
function makesIds({ work }: PipelineStage): boolean {
  const { chunk, function: own, glueJob, normalise, redact } = work;
  if (chunk ?? own ?? glueJob) return true;
  return [normalise, redact].some((settings) => settings?.fields?.includes('id'));
}
