import type { ResolvedPipeline } from '../../../lib/policy/pipeline/pipeline-defaults';
import { type DataRecord, fieldOf } from '../reading/source-record';
import { mergeSketches, type Sketch, SketchBuilder } from './sketch';

/** What monitors know of the records of a version, in bounded memory. */
export interface Profile {
  readonly records: number;
  /** How many records have each field that the last stage describes, and not null. */
  readonly given: Readonly<Record<string, number>>;
  /** Distributions of the fields that are watched. */
  readonly fields: Readonly<Record<string, Sketch>>;
  /** Vectors, where there are any. */
  readonly embedding?: EmbeddingProfile;
  /** The newest time of a record, in milliseconds since 1970. */
  readonly watermark?: number;
}

/** Sums over all vectors. */
export interface EmbeddingProfile {
  readonly count: number;
  readonly sum: readonly number[];
  readonly norms: number;
  readonly squaredNorms: number;
}

/** A profile that is being filled. */
export class ProfileBuilder {
  private readonly described: readonly string[];
  private readonly given: number[];
  private readonly sketches: Map<string, SketchBuilder>;
  private records = 0;
  private sum: Float64Array | undefined;
  private vectors = 0;
  private norms = 0;
  private squaredNorms = 0;
  private watermark = -Infinity;

  constructor({ stages, monitors }: ResolvedPipeline) {
    this.described = Object.keys(stages.at(-1)!.contract.output.properties ?? {});
    this.given = this.described.map(() => 0);
    this.sketches = new Map(monitors.fields.map((field) => [field, new SketchBuilder()]));
  }

  public add(record: DataRecord, time: number | undefined): void {
    this.records++;
    this.described.forEach((field, i) => {
      const value = fieldOf(record, field);
      if (value !== undefined && value !== null) this.given[i]!++;
    });
    for (const [field, sketch] of this.sketches) sketch.add(fieldOf(record, field));
    if (Array.isArray(record.embedding)) this.addVector(record.embedding as number[]);
    if (time !== undefined && time > this.watermark) this.watermark = time;
  }

  public build(): Profile {
    return {
      records: this.records,
      given: Object.fromEntries(this.described.map((field, i) => [field, this.given[i]!])),
      fields: Object.fromEntries([...this.sketches].map(([field, sketch]) => [field, sketch.build()])),
      ...(this.sum && {
        embedding: { count: this.vectors, sum: [...this.sum], norms: this.norms, squaredNorms: this.squaredNorms },
      }),
      ...(this.watermark > -Infinity && { watermark: this.watermark }),
    };
  }

  private addVector(vector: readonly number[]): void {
    this.sum ??= new Float64Array(vector.length);
    let squares = 0;
    for (const value of vector) squares += value * value;
    const norm = Math.sqrt(squares);
    this.vectors++;
    this.norms += norm;
    this.squaredNorms += squares;
    // Directions are what is compared: a long vector must not outweigh the others.
    if (norm > 0) for (let i = 0; i < vector.length; i++) this.sum[i]! += vector[i]! / norm;
  }
}

/** Both profiles together. */
export function mergeProfiles(a: Profile, b: Profile): Profile {
  const given: Record<string, number> = { ...a.given };
  for (const [field, count] of Object.entries(b.given))
    given[field] = (Object.hasOwn(given, field) ? given[field]! : 0) + count;
  const fields: Record<string, Sketch> = { ...a.fields };
  for (const [field, sketch] of Object.entries(b.fields)) {
    fields[field] = Object.hasOwn(fields, field) ? mergeSketches(fields[field]!, sketch) : sketch;
  }
  const watermark = Math.max(a.watermark ?? -Infinity, b.watermark ?? -Infinity);
  const embedding =
    a.embedding && b.embedding ? mergeEmbeddings(a.embedding, b.embedding) : (a.embedding ?? b.embedding);
  return {
    records: a.records + b.records,
    given,
    fields,
    ...(embedding && { embedding }),
    ...(watermark > -Infinity && { watermark }),
  };
}

function mergeEmbeddings(a: EmbeddingProfile, b: EmbeddingProfile): EmbeddingProfile {
  return {
    count: a.count + b.count,
    sum: a.sum.map((value, i) => value + b.sum[i]!),
    norms: a.norms + b.norms,
    squaredNorms: a.squaredNorms + b.squaredNorms,
  };
}
