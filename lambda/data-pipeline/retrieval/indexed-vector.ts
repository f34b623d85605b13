import { VectorDistance } from '../../../lib/policy';
import type { ResolvedRetrieval } from '../../../lib/policy/pipeline/pipeline-defaults';
import { INDEX_LIMITS } from '../../../lib/policy/pipeline/index-limits';
import type { DataRecord } from '../reading/source-record';
import type { IndexedVector } from './vector-index';

/** What an index keeps of a record. A field that is null or an empty list is left out, as one that is not there. */
export function indexedVector(record: DataRecord, fields: readonly string[]): IndexedVector {
  const kept = fields.flatMap((field) => (isEmpty(record[field]) ? [] : [[field, record[field]] as const]));
  return { id: record.id as string, vector: record.embedding as number[], fields: Object.fromEntries(kept) };
}

/**
 * Says why no index takes a record of the last stage, without its values; undefined where one does. A version with such a
 * record could be published and never be found, so it is told before.
 */
export function indexFault(
  record: DataRecord,
  { fields, distance, dimensions }: Pick<ResolvedRetrieval, 'fields' | 'distance' | 'dimensions'>,
): string | undefined {
  const { id, vector, fields: kept } = indexedVector(record, fields);
  if (id.length > INDEX_LIMITS.idCharacters) {
    return `id has ${id.length} characters, where an index takes ${INDEX_LIMITS.idCharacters}`;
  }
  if (vector.length !== dimensions) {
    return `embedding has ${vector.length} numbers, where the index has ${dimensions}`;
  }
  // As the index keeps them: numbers of 32 bits.
  const numbers = Float32Array.from(vector);
  if (!numbers.every(Number.isFinite)) return 'embedding has a number that is too large for 32 bits';
  if (distance === VectorDistance.COSINE && numbers.every((number) => number === 0)) {
    return 'embedding is all zeros, which has no angle to anything';
  }
  const bytes = Buffer.byteLength(JSON.stringify(kept));
  return bytes > INDEX_LIMITS.fieldsBytes
    ? `retrieval.fields have ${bytes} bytes, where an index takes ${INDEX_LIMITS.fieldsBytes}: keep fewer fields, or cut smaller pieces`
    : undefined;
}

function isEmpty(value: unknown): boolean {
  return value === undefined || value === null || (Array.isArray(value) && value.length === 0);
}
