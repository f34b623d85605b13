import { mismatches } from '../../../lib/policy/pipeline/contract';
import type { ResolvedPipeline } from '../../../lib/policy/pipeline/pipeline-defaults';
import { canonical } from '../../../lib/policy/pipeline/schema-check';
import { digestOf, sha256 } from '../digest';
import type { ObjectStore } from '../storage';
import { type Manifest, manifestKey, type ObjectReference } from '../versions/manifest';
import { contentOf, linesIn } from './line-object';
import { uniqueKeysOf } from './rule-checks';
import { manifestOf } from './staging';

/**
 * Sees that what a redrive keeps of a version is what the definition would have made of it, as far as it is told apart by its
 * place: counts by stage, keys by stage and rule of uniqueness; and that what is kept stands by the contract of the whole.
 *
 * @param version name of the version whose manifest it is
 * @throws an error that names each difference, and says what to do instead
 */
export function assertMatchesBase(version: string, base: Manifest, pipeline: ResolvedPipeline): void {
  if (base.definition === digestOf(pipeline)) return;
  const differences = [...stageDifferences(base, pipeline), ...contractDifferences(base, pipeline)];
  if (differences.length === 0) return;
  throw new Error(
    `version ${version} cannot be redriven with this definition, since what stays of it was not made so: ${differences.join('; ')}. Run the whole pipeline instead`,
  );
}

function stageDifferences({ stages }: Manifest, pipeline: ResolvedPipeline): string[] {
  const [before, now] = [stages, pipeline.stages].map((list) => list.map(({ name }) => name).join(', '));
  if (before !== now) return [`its stages were ${before}, and are ${now}`];
  return pipeline.stages.flatMap(({ name, rules }, i) => {
    const keys = uniqueKeysOf(rules);
    const known = stages[i]!.unique;
    if (known === undefined) return [`it does not say which rules of uniqueness the stage "${name}" had`];
    if (canonical(known) === canonical(keys)) return [];
    return [`the rules of uniqueness of the stage "${name}" were ${keysInWords(known)}, and are ${keysInWords(keys)}`];
  });
}

function keysInWords(keys: readonly { readonly name: string; readonly fields: readonly string[] }[]): string {
  return keys.map(({ name, fields }) => `${name} (${fields.join(', ')})`).join(', ') || 'none';
}

function contractDifferences({ schema, embedding }: Manifest, { stages }: ResolvedPipeline): string[] {
  const { output } = stages.at(-1)!.contract;
  const found = canonical(schema) === canonical(output) ? [] : mismatches(schema, output);
  const differences = found.map(
    ({ given, reason }) =>
      `the last output refuses what it took (${given === '' ? 'the record' : given.slice(1)}: ${reason})`,
  );
  const work = stages.findLast((stage) => stage.work.kind === 'embed')?.work;
  if (work?.kind === 'embed' && embedding && work.model !== embedding.model) {
    differences.push(`its vectors are of ${embedding.model}, and would be of ${work.model}`);
  }
  return differences;
}

/**
 * Why a version that a redrive has made is held: it has the records of the published version that the redrive goes back to, so
 * that it would only take the place of one that can be gone back to. Undefined where something came through, or where none was
 * published.
 */
export async function heldForNothingNew(manifest: Manifest, store: ObjectStore): Promise<string | undefined> {
  let [name] = manifest.parents;
  while (name !== undefined) {
    const published = await store.get(manifestKey(name));
    if (published) {
      const isSame = await haveSameRecords(JSON.parse(published.toString('utf8')) as Manifest, manifest, store);
      return isSame ? `nothing came through that version ${name} lacks` : undefined;
    }
    // One that was held back, and perhaps for this.
    name = (await manifestOf(name, store).catch(() => undefined))?.parents[0];
  }
  return undefined;
}

/** Whether two versions hold the same records, in whatever order. Reads only the parts that one of them has alone. */
async function haveSameRecords(one: Manifest, other: Manifest, store: ObjectStore): Promise<boolean> {
  if (one.counts.published !== other.counts.published) return false;
  const parts = new Map<string, { readonly part: ObjectReference; times: number }>();
  const count = ({ shards }: Manifest, times: number) => {
    for (const { part } of shards) {
      const known = parts.get(part.sha256) ?? { part, times: 0 };
      parts.set(part.sha256, known);
      known.times += times;
    }
  };
  count(one, 1);
  count(other, -1);
  // A sum of hashes says what the lines are, and nothing of their order.
  let sum = 0n;
  for (const { part, times } of parts.values()) {
    if (times === 0 || part.records === 0) continue;
    for (const line of linesIn(await contentOf(store, part))) sum += BigInt(times) * BigInt(`0x${sha256(line)}`);
  }
  return sum === 0n;
}
