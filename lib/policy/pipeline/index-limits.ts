/**
 * What a vector index takes: the limits of S3 Vectors, which hold for every index, so that a pipeline that runs here runs
 * there. https://docs.aws.amazon.com/AmazonS3/latest/userguide/s3-vectors-limitations.html
 */
export const INDEX_LIMITS = {
  /** Numbers of a vector. */
  dimensions: 4096,
  /** Fields beside a vector that nothing is filtered by: the others may have 2 kB together, which a text has not. */
  fields: 10,
  /** Characters of the name of such a field. */
  fieldNameCharacters: 63,
  /** Bytes of the fields of a vector as JSON: 40 kB, by the smaller of the two kilobytes. */
  fieldsBytes: 40_000,
  /** Characters of a record's id. */
  idCharacters: 1024,
} as const;
