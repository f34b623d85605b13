/** An object in a list. */
export interface ListedObject {
  readonly key: string;
  /** When it was written last, milliseconds since 1970. */
  readonly writtenAt: number;
}

/** Objects by key, as S3 has them. Keys are parts of letters, digits and `. _ -`, separated by `/`. */
export interface ObjectStore {
  /** The object's bytes, undefined where there is none. */
  get(key: string): Promise<Buffer | undefined>;
  /** The object's bytes in pieces, for those that may be large. Throws where there is none. */
  stream(key: string): AsyncIterable<Buffer>;
  /** Writes an object. Readers see the old one or the whole new one, never a part. */
  put(key: string, content: Uint8Array | string): Promise<void>;
  /** Keys with the prefix, in no order. */
  list(prefix: string): AsyncIterable<string>;
  /** The same with when each was written. */
  listWritten(prefix: string): AsyncIterable<ListedObject>;
  /** When the object was written last, milliseconds since 1970, undefined where there is none. */
  writtenAt(key: string): Promise<number | undefined>;
  delete(key: string): Promise<void>;
}

/** What vectors were made by. Those of another model, or another length, lie in another space. */
export interface Embedding {
  readonly model: string;
  readonly dimensions: number;
  /** Whether the model was asked to shorten its vectors; undefined where that was not noted. */
  readonly requestDimensions?: boolean;
}

/** Which version readers see, or which index answers. Each flip has the next sequence number, and the record of it stays. */
export interface Pointer {
  /** 1 for the first. */
  readonly sequence: number;
  readonly version: string;
  /** The index that holds the version, where the pointer is that of the index. */
  readonly index?: string;
  /** What made the vectors of that index: queries must be embedded by the same. */
  readonly embedding?: Embedding;
  /** What flipped it. */
  readonly reason: 'publish' | 'rollback';
}

/** Keeps the pointer. */
export interface PointerStore {
  current(): Promise<Pointer | undefined>;
  /** The pointers from the first to the current one. */
  history(): Promise<Pointer[]>;
  /**
   * Sets the pointer, provided that no other has taken its sequence number: false where one has, and nothing is changed.
   */
  flip(next: Pointer): Promise<boolean>;
}

/** A file that a pipeline reads, the same for ever: another content is another file. */
export interface InputFile {
  /** Path below the input, with `/`. */
  readonly name: string;
  readonly bytes: number;
  /** What identifies the content: its SHA-256, or the checksum that S3 keeps. */
  readonly digest: string;
}

/** Reads input files. */
export interface InputFiles {
  /**
   * Bytes `from` to before `to`, in pieces.
   *
   * @throws UncleanFile where a malware scan keeps the file from being read, NotYetScanned where it has not come yet
   */
  read(name: string, from: number, to: number): AsyncIterable<Buffer>;
}
