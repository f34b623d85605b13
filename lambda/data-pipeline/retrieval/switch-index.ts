import type { ResolvedRetrieval } from '../../../lib/policy/pipeline/pipeline-defaults';
import type { ObjectStore } from '../storage';
import { type PublishedVersion, recordsOf } from '../versions/read-published';
import { indexName } from './exact-indexes';
import type { IndexedVector, VectorIndex, VectorIndexes } from './vector-index';

/** A query whose page is known. */
export interface GoldenQuery {
  readonly query: string;
  /** The `uri` of the page that must be among the answers. */
  readonly uri: string;
}

/** What the switch needs from outside. */
export interface SwitchPorts {
  readonly store: ObjectStore;
  readonly indexes: VectorIndexes;
  readonly embed: (texts: readonly string[]) => Promise<number[][]>;
}

/** What the switch came to. */
export interface IndexSwitch {
  readonly index: string;
  readonly isSwitched: boolean;
  /** Share of the golden queries whose page was found; undefined without a golden set. */
  readonly recall?: number;
  /** Golden queries whose page was not found. */
  readonly missed: readonly GoldenQuery[];
}

/** Which index answers: an object that is written as a whole. */
const ACTIVE = 'indexes/active.json';

const QUERY_BATCH = 32;

/**
 * Builds the index of a published version beside the one that answers, tries it on the golden set, and lets it take over as a
 * whole where it finds enough. The old index is dropped then; where it finds too little, the new one is. What is not in the
 * version is not in its index, so deletions take effect with the switch.
 */
export async function switchIndex(
  published: PublishedVersion,
  golden: readonly GoldenQuery[],
  settings: ResolvedRetrieval,
  ports: SwitchPorts,
): Promise<IndexSwitch> {
  const { store, indexes } = ports;
  const index = indexName(published.manifest.pipeline, published.version);
  const active = await activeIndex(store);
  if (active?.index === index) return { index, isSwitched: true, missed: [] };
  const built = await build(index, published, settings, ports);
  const missed = await missedQueries(built, golden, settings.results, ports);
  const recall = golden.length === 0 ? undefined : 1 - missed.length / golden.length;
  const isSwitched = recall === undefined || recall >= settings.leastRecall;
  if (isSwitched) await store.put(ACTIVE, JSON.stringify({ index, version: published.version }));
  const loser = isSwitched ? active?.index : index;
  if (loser !== undefined) await indexes.drop(loser);
  return { index, isSwitched, ...(recall !== undefined && { recall }), missed };
}

/** The index that answers, and the version that it holds; undefined before the first. */
export async function activeIndex(store: ObjectStore): Promise<{ index: string; version: string } | undefined> {
  const active = await store.get(ACTIVE);
  return active && (JSON.parse(active.toString('utf8')) as { index: string; version: string });
}

async function build(
  name: string,
  published: PublishedVersion,
  { distance, fields }: ResolvedRetrieval,
  { store, indexes }: SwitchPorts,
): Promise<VectorIndex> {
  const dimensions = published.manifest.embedding?.dimensions;
  if (dimensions === undefined) throw new Error(`the version ${published.version} has no vectors`);
  const index = await indexes.create(name, { dimensions, distance });
  for await (const records of recordsOf(published, store)) {
    const vectors = records.map((record): IndexedVector => {
      const kept = fields.flatMap((field) => (record[field] === undefined ? [] : [[field, record[field]] as const]));
      return { id: record.id as string, vector: record.embedding as number[], fields: Object.fromEntries(kept) };
    });
    await index.put(vectors);
  }
  await index.seal();
  return index;
}

async function missedQueries(
  index: VectorIndex,
  golden: readonly GoldenQuery[],
  results: number,
  { embed }: SwitchPorts,
): Promise<GoldenQuery[]> {
  const missed: GoldenQuery[] = [];
  for (let i = 0; i < golden.length; i += QUERY_BATCH) {
    const batch = golden.slice(i, i + QUERY_BATCH);
    const vectors = await embed(batch.map(({ query }) => query));
    for (const [j, expected] of batch.entries()) {
      const matches = await index.query(vectors[j]!, results);
      if (!matches.some(({ fields }) => fields.uri === expected.uri)) missed.push(expected);
    }
  }
  return missed;
}
