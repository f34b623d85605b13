import type { ResolvedRetrieval } from '../../../lib/policy/pipeline/pipeline-defaults';
import type { Embedding, ObjectStore, Pointer, PointerStore } from '../storage';
import { type PublishedVersion, recordsOf } from '../versions/read-published';
import { indexName } from './exact-indexes';
import type { EmbedQueries } from './embed-queries';
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
  readonly embed: EmbedQueries;
  /** Says which index answers. */
  readonly active: PointerStore;
  /** The version that readers of the data see. */
  readonly shown: () => Promise<string | undefined>;
}

/** What the switch came to. */
export interface IndexSwitch {
  readonly index: string;
  readonly isSwitched: boolean;
  /** Share of the golden queries whose page was found; undefined without a golden set. */
  readonly recall?: number;
  /** Golden queries whose page was not found. */
  readonly missed: readonly GoldenQuery[];
  /** The version that readers see in place of this one, whose index is the one to answer. */
  readonly overtakenBy?: string;
}

const QUERY_BATCH = 32;

/** Each flip that fails is one that another has made; so many cannot come in one switch but by a fault. */
const MOST_FLIPS = 20;

/**
 * Builds the index of a published version beside the one that answers, tries it on the golden set, and lets it take over as a
 * whole where it finds enough. The old index is dropped then; where it finds too little, the new one is. What is not in the
 * version is not in its index, so deletions take effect with the switch.
 *
 * The index follows the data: of two switches at the same time that of the version which readers see wins, whichever ends
 * last, and the other is told.
 */
export async function switchIndex(
  published: PublishedVersion,
  golden: readonly GoldenQuery[],
  settings: ResolvedRetrieval,
  ports: SwitchPorts,
): Promise<IndexSwitch> {
  const { version, manifest } = published;
  const before = await ports.active.current();
  if (before?.version === version) return { index: nameOf(before), isSwitched: true, missed: [] };
  // No two switches share a name, so that what one drops is never what another builds.
  const index = indexName(manifest.pipeline, `${version} ${(before?.sequence ?? 0) + 1}`);
  const built = await build(index, published, settings, ports);
  const missed = await missedQueries(built, golden, settings.results, manifest.embedding, ports);
  const recall = golden.length === 0 ? undefined : 1 - missed.length / golden.length;
  const found = { index, ...(recall !== undefined && { recall }), missed };
  if (recall !== undefined && recall < settings.leastRecall) {
    await dropUnlessActive(index, ports);
    return { ...found, isSwitched: false };
  }
  return { ...found, ...(await takeOver(published, index, ports)) };
}

async function takeOver(
  { version, manifest: { embedding } }: PublishedVersion,
  index: string,
  ports: SwitchPorts,
): Promise<Pick<IndexSwitch, 'isSwitched' | 'overtakenBy'>> {
  const { active, shown, indexes } = ports;
  for (let flips = 0; flips < MOST_FLIPS; flips++) {
    const current = await active.current();
    const seen = await shown();
    const isThere = current?.version === version;
    if (isThere || seen !== version) {
      await dropUnlessActive(index, ports);
      return { isSwitched: isThere, ...(seen !== version && seen !== undefined && { overtakenBy: seen }) };
    }
    const sequence = (current?.sequence ?? 0) + 1;
    const next: Pointer = { sequence, version, index, ...(embedding && { embedding }), reason: 'publish' };
    if (!(await active.flip(next))) continue;
    const after = await shown();
    if (current && after === current.version) {
      // A roll-back came between the look and the flip, and took its index for the one that answers.
      if (!(await active.flip({ ...current, sequence: sequence + 1 }))) continue;
      await indexes.drop(index);
      return { isSwitched: false, overtakenBy: after };
    }
    if (current) await indexes.drop(nameOf(current));
    return { isSwitched: true };
  }
  throw new Error(`the index of version ${version} could not take over: others have switched ${MOST_FLIPS} times`);
}

/** Another run of the same version may have built the same index, and be ahead. */
async function dropUnlessActive(index: string, { active, indexes }: SwitchPorts): Promise<void> {
  if ((await active.current())?.index !== index) await indexes.drop(index);
}

/** The index that answers. */
export interface ActiveIndex {
  readonly index: string;
  /** The version that it holds. */
  readonly version: string;
  /** What made its vectors; undefined where the pointer does not say. */
  readonly embedding?: Embedding;
}

/** The index that answers; undefined before the first. */
export async function activeIndex(active: Pick<PointerStore, 'current'>): Promise<ActiveIndex | undefined> {
  const current = await active.current();
  if (!current) return undefined;
  const { version, embedding } = current;
  return { index: nameOf(current), version, ...(embedding && { embedding }) };
}

function nameOf({ index, version }: Pointer): string {
  if (index === undefined) throw new Error(`the pointer to the index of version ${version} does not name it`);
  return index;
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
  embedding: Embedding | undefined,
  { embed }: SwitchPorts,
): Promise<GoldenQuery[]> {
  const missed: GoldenQuery[] = [];
  for (let i = 0; i < golden.length; i += QUERY_BATCH) {
    const batch = golden.slice(i, i + QUERY_BATCH);
    const vectors = await embed(
      batch.map(({ query }) => query),
      embedding,
    );
    for (const [j, expected] of batch.entries()) {
      const matches = await index.query(vectors[j]!, results);
      if (!matches.some(({ fields }) => fields.uri === expected.uri)) missed.push(expected);
    }
  }
  return missed;
}
