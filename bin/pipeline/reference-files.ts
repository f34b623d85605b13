import { basename } from 'node:path';
import type { ResolvedPipeline } from '../../lib/policy/pipeline/pipeline-defaults';
import { digestOf } from '../../lambda/data-pipeline/digest';
import { readRanges } from '../../lambda/data-pipeline/reading/read-shard';
import type { DataRecord } from '../../lambda/data-pipeline/reading/source-record';
import type { GoldenQuery } from '../../lambda/data-pipeline/retrieval/switch-index';
import { UserError } from '../user-error';
import { InputDirectory } from './input-directory';

/** The sets of values that rules look up, with digests of what they hold. */
export interface References {
  readonly sets: ReadonlyMap<string, ReadonlySet<string | number>>;
  readonly digests: readonly { readonly name: string; readonly digest: string }[];
}

/** Reads the sets of references of a definition, from files below a directory. */
export async function loadReferences({ references }: ResolvedPipeline, directory: string): Promise<References> {
  const sets = new Map<string, ReadonlySet<string | number>>();
  const digests: { name: string; digest: string }[] = [];
  for (const { name, file, field } of references) {
    const values = new Set<string | number>();
    for await (const record of recordsOfFile(directory, file)) {
      const value = record[field];
      if (typeof value === 'string' || typeof value === 'number') values.add(value);
    }
    if (values.size === 0)
      throw new UserError(`the set of references "${name}", ${file}, has no value in its field ${field}`);
    sets.set(name, values);
    digests.push({ name, digest: digestOf([...values].sort()) });
  }
  return { sets, digests };
}

/** Reads the golden set of a definition; empty where it has none. */
export async function loadGoldenSet({ retrieval }: ResolvedPipeline, directory: string): Promise<GoldenQuery[]> {
  if (retrieval?.goldenSet === undefined) return [];
  const queries: GoldenQuery[] = [];
  for await (const { query, uri } of recordsOfFile(directory, retrieval.goldenSet)) {
    if (typeof query !== 'string' || typeof uri !== 'string') {
      throw new UserError(`the golden set ${retrieval.goldenSet} must have query and uri in each line`);
    }
    queries.push({ query, uri });
  }
  return queries;
}

async function* recordsOfFile(directory: string, file: string): AsyncGenerator<DataRecord> {
  const files = new InputDirectory(directory);
  const [found] = await files.list((name) => name === file);
  if (!found) throw new UserError(`there is no file ${file} in ${directory}`);
  const range = { file, digest: found.digest, fileBytes: found.bytes, from: 0, to: found.bytes };
  for await (const records of readRanges([range], { mostRecordBytes: 1_048_576 }, files)) {
    for (const source of records) {
      if ('fault' in source)
        throw new UserError(`${basename(file)} at byte ${source.place.offset} ${source.fault.reason}`);
      yield source.record;
    }
  }
}
