import type { ResolvedPipeline } from '../../../lib/policy/pipeline/pipeline-defaults';
import { digestOf } from '../digest';
import type { GoldenQuery } from '../retrieval/switch-index';
import type { InputFile, InputFiles } from '../storage';
import { readRanges } from './read-shard';
import { type DataRecord, fieldOf } from './source-record';

const MOST_RECORD_BYTES = 1_048_576;

/** Files of references: found by their names. */
export interface ReferenceFiles extends InputFiles {
  find(name: string): Promise<InputFile | undefined>;
}

/** The sets of values that rules look up, with digests of what they hold. */
export interface References {
  readonly sets: ReadonlyMap<string, ReadonlySet<string | number>>;
  readonly digests: readonly { readonly name: string; readonly digest: string }[];
}

/** Reads the sets of references of a definition. A set without a value is an error: every record would be at fault. */
export async function loadReferences({ references }: ResolvedPipeline, files: ReferenceFiles): Promise<References> {
  const sets = new Map<string, ReadonlySet<string | number>>();
  const digests: { name: string; digest: string }[] = [];
  for (const { name, file, field } of references) {
    const values = new Set<string | number>();
    for await (const record of recordsOfFile(files, file)) {
      const value = fieldOf(record, field);
      if (typeof value === 'string' || typeof value === 'number') values.add(value);
    }
    if (values.size === 0)
      throw new Error(`the set of references "${name}", ${file}, has no value in its field ${field}`);
    sets.set(name, values);
    digests.push({ name, digest: digestOf([...values].sort()) });
  }
  return { sets, digests };
}

/** Reads the golden set of a definition; empty where it has none. A set without a query is an error. */
export async function loadGoldenSet({ retrieval }: ResolvedPipeline, files: ReferenceFiles): Promise<GoldenQuery[]> {
  if (retrieval?.goldenSet === undefined) return [];
  const queries: GoldenQuery[] = [];
  for await (const { query, uri } of recordsOfFile(files, retrieval.goldenSet)) {
    if (typeof query !== 'string' || typeof uri !== 'string') {
      throw new Error(`the golden set ${retrieval.goldenSet} must have query and uri in each line`);
    }
    queries.push({ query, uri });
  }
  // Of nothing all is found: the gate of the index would stand open.
  if (queries.length === 0) throw new Error(`the golden set ${retrieval.goldenSet} has no query`);
  return queries;
}

async function* recordsOfFile(files: ReferenceFiles, name: string): AsyncGenerator<DataRecord> {
  const found = await files.find(name);
  if (!found) throw new Error(`there is no file of references ${name}`);
  const range = { file: name, digest: found.digest, fileBytes: found.bytes, from: 0, to: found.bytes };
  for await (const records of readRanges([range], { mostRecordBytes: MOST_RECORD_BYTES }, files)) {
    for (const source of records) {
      if ('fault' in source) throw new Error(`${name} at byte ${source.place.offset} ${source.fault.reason}`);
      yield source.record;
    }
  }
}
