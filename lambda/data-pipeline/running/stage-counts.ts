import type { ResolvedPipeline } from '../../../lib/policy/pipeline/pipeline-defaults';
import { FANS_OUT } from '../stages/work';
import type { StageCounts } from './shard-summary';

/** How far one of the records came that a source record turned into. */
export interface Trail {
  readonly ordinal: number;
  readonly branch: string;
  /** The first stage that it is counted in, from 0. */
  readonly from: number;
  /** The stage that set it aside: -1 for the reading, infinite for one that came through. */
  readonly to: number;
}

/**
 * What stages counted without some records. A record that turned into several counts once in the stages before it did, and
 * only where none of those that are left was made of it.
 */
export function countsWithout(
  counts: readonly StageCounts[],
  gone: readonly Trail[],
  left: readonly Trail[],
  { stages }: Pick<ResolvedPipeline, 'stages'>,
): StageCounts[] {
  let depth = 0;
  return counts.map((count, stage) => {
    const before = depth;
    if (FANS_OUT.has(stages[stage]!.work.kind)) depth++;
    return {
      ...count,
      in: count.in - without(entering(gone, stage, before), entering(left, stage, before)),
      out: count.out - without(leaving(gone, stage, depth), leaving(left, stage, depth)),
    };
  });
}

function entering(trails: readonly Trail[], stage: number, depth: number): Set<string> {
  return itemsOf(
    trails.filter(({ from, to }) => from <= stage && to >= stage),
    depth,
  );
}

/** A duplicate was counted out of its stage when it was found, though it has been through those after it. */
function leaving(trails: readonly Trail[], stage: number, depth: number): Set<string> {
  const past = itemsOf(
    trails.filter(({ from, to }) => from <= stage && to > stage),
    depth,
  );
  for (const { ordinal, branch, to } of trails) if (to === stage) past.delete(`${ordinal} ${branch}`);
  return past;
}

/** The records at a point that several stages before have made several of one. */
function itemsOf(trails: readonly Trail[], depth: number): Set<string> {
  return new Set(
    trails.map(
      ({ ordinal, branch }) =>
        `${ordinal} ${branch
          .split('.')
          .slice(0, depth + 1)
          .join('.')}`,
    ),
  );
}

function without(some: ReadonlySet<string>, others: ReadonlySet<string>): number {
  return [...some].filter((item) => !others.has(item)).length;
}
