/** An object of the offline tables' bucket. */
export interface OfflineObject {
  readonly key: string;
  readonly bytes: number;
  /** What identifies its content. */
  readonly etag: string;
  /** When it was written, milliseconds since 1970. */
  readonly modifiedMs: number;
}

/** The bucket, as those see it who look after what lies in it. */
export interface OfflineObjects {
  /** Objects below a prefix, in the order of their keys. */
  list(prefix: string): AsyncIterable<OfflineObject>;
  /** The object's bytes, undefined where there is none. */
  get(key: string): Promise<Buffer | undefined>;
  /** The object in pieces; nothing where there is none. */
  stream(key: string): AsyncIterable<Uint8Array>;
  /** Writes an object, in the place of one that is there. */
  put(key: string, body: Uint8Array | string): Promise<void>;
  /** Removes an object; where the bucket keeps versions, they stay. */
  remove(key: string): Promise<void>;
  /** Removes for good what readers do not see any more below a prefix: versions that were overwritten or deleted. */
  purge(prefix: string): Promise<number>;
}
