import type { ResolvedRetrieval } from '../../../lib/policy/pipeline/pipeline-defaults';
import { sha256 } from '../digest';
import type { Embedding, Pointer, PointerStore } from '../storage';
import type { PublishedVersion } from '../versions/read-published';
import type { EmbedQueries } from './embed-queries';
import { fillIndex, type FillPorts, forgetFilling } from './fill-index';
import type { VectorIndex } from './vector-index';

/** A query whose page is known. */
export interface GoldenQuery {
  readonly query: string;
  /** The `uri` of the page that must be among the answers. */
  readonly uri: string;
}

/** What the switch needs from outside. */
export interface SwitchPorts extends FillPorts {
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

/** How far the index of a version has come. */
export interface IndexFilling {
  /** Whether it is time for the switch. */
  readonly isFilled: boolean;
  /** Parts of the version that are in it; 0 where there was nothing to fill. */
  readonly parts: number;
  /** Parts of the version. */
  readonly total: number;
}

const QUERY_BATCH = 32;

/** Characters of a pipeline's name in the name of an index, of which S3 Vectors takes 63. */
const MOST_NAME = 50;

/** Each flip that fails is one that another has made; so many cannot come in one switch but by a fault. */
const MOST_FLIPS = 20;

/**
 * Fills the index of a published version ahead of its switch, as far as the time goes; the next call goes on. There is
 * nothing to fill for a version whose index answers already, or that readers see no more: the switch says which.
 *
 * @param mayGoOn whether there is time for another part, and for what comes after the last
 */
export async function fillAhead(
  published: PublishedVersion,
  settings: ResolvedRetrieval,
  ports: Omit<SwitchPorts, 'embed'>,
  mayGoOn: () => boolean,
): Promise<IndexFilling> {
  const { version, manifest } = published;
  const total = manifest.shards.length;
  const before = await ports.active.current();
  if (before?.version === version || (await ports.shown()) !== version) return { isFilled: true, parts: 0, total };
  const name = indexName(published, settings, before);
  const { filled, parts } = await fillIndex(name, published, settings, ports, mayGoOn);
  return { isFilled: filled !== undefined, parts, total };
}

/**
 * Fills the index of a published version beside the one that answers, where that has not been done ahead, tries it on the
 * golden set, and lets it take over as a whole where it finds enough. The old index is dropped then; where it finds too
 * little, the new one is. What is not in the version is not in its index, so deletions take effect with the switch.
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
  const { version } = published;
  const before = await ports.active.current();
  if (before?.version === version) return { index: nameOf(before), isSwitched: true, missed: [] };
  const index = indexName(published, settings, before);
  const seen = await ports.shown();
  if (seen !== version) {
    await dropUnlessActive(index, ports);
    return { index, isSwitched: false, missed: [], ...(seen !== undefined && { overtakenBy: seen }) };
  }
  const { filled } = await fillIndex(index, published, settings, ports);
  if (!filled) throw new Error(`the index ${index} was dropped by another run while it was filled: start again`);
  const missed = await missedQueries(filled, golden, settings.results, published.manifest.embedding, ports);
  const recall = golden.length === 0 ? undefined : 1 - missed.length / golden.length;
  const found = { index, ...(recall !== undefined && { recall }), missed };
  if (recall !== undefined && recall < settings.leastRecall) {
    await dropUnlessActive(index, ports);
    return { ...found, isSwitched: false };
  }
  const outcome = await takeOver(published, index, ports);
  await forgetFilling(index, ports.store);
  return { ...found, ...outcome };
}

/**
 * The name of a version's index. It is another one after each switch, so that what a switch drops is never what one after
 * it fills; and for other settings, so that what is found under a name is always what is put under it.
 */
export function indexName(
  { version, manifest }: PublishedVersion,
  { distance, fields }: Pick<ResolvedRetrieval, 'distance' | 'fields'>,
  before: Pointer | undefined,
): string {
  const of = JSON.stringify([version, (before?.sequence ?? 0) + 1, distance, fields]);
  return `${manifest.pipeline.slice(0, MOST_NAME)}-${sha256(of).slice(0, 12)}`;
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
async function dropUnlessActive(index: string, { active, indexes, store }: SwitchPorts): Promise<void> {
  if ((await active.current())?.index === index) return;
  await indexes.drop(index);
  await forgetFilling(index, store);
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
