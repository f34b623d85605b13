import type {
  InputFile,
  InputFiles,
  ListedObject,
  ObjectStore,
  Pointer,
  PointerStore,
} from '../../../lambda/data-pipeline/storage';
import type { Spill } from '../../../lambda/data-pipeline/running/uniqueness';
import { sha256 } from '../../../lambda/data-pipeline/digest';

/** Objects in memory. */
export class MemoryStore implements ObjectStore {
  public readonly objects = new Map<string, Buffer>();
  /** When objects were written. */
  public readonly times = new Map<string, number>();
  /** Milliseconds since 1970. */
  public now = Date.now();

  public get(key: string): Promise<Buffer | undefined> {
    return Promise.resolve(this.objects.get(key));
  }

  public async *stream(key: string): AsyncGenerator<Buffer> {
    yield await Promise.resolve(this.objects.get(key)!);
  }

  public put(key: string, content: Uint8Array | string): Promise<void> {
    this.objects.set(key, Buffer.from(content));
    this.times.set(key, this.now);
    return Promise.resolve();
  }

  public async *list(prefix: string): AsyncGenerator<string> {
    for (const key of await Promise.resolve([...this.objects.keys()])) if (key.startsWith(prefix)) yield key;
  }

  public async *listWritten(prefix: string): AsyncGenerator<ListedObject> {
    for await (const key of this.list(prefix)) yield { key, writtenAt: this.times.get(key)! };
  }

  public writtenAt(key: string): Promise<number | undefined> {
    return Promise.resolve(this.objects.has(key) ? this.times.get(key) : undefined);
  }

  public delete(key: string): Promise<void> {
    this.objects.delete(key);
    return Promise.resolve();
  }
}

/** Pointers in memory. */
export class MemoryPointers implements PointerStore {
  public readonly list: Pointer[] = [];

  public current(): Promise<Pointer | undefined> {
    return Promise.resolve(this.list.at(-1));
  }

  public history(): Promise<Pointer[]> {
    return Promise.resolve([...this.list]);
  }

  public flip(next: Pointer): Promise<boolean> {
    if (next.sequence !== this.list.length + 1) return Promise.resolve(false);
    this.list.push(next);
    return Promise.resolve(true);
  }
}

/** Lists in memory. */
export class MemorySpill implements Spill {
  private lists = new Map<string, string[]>();

  public append(name: string, lines: readonly string[]): Promise<void> {
    this.lists.set(name, [...(this.lists.get(name) ?? []), ...lines]);
    return Promise.resolve();
  }

  public read(name: string): Promise<string[]> {
    return Promise.resolve(this.lists.get(name) ?? []);
  }

  public clear(): Promise<void> {
    this.lists = new Map();
    return Promise.resolve();
  }
}

/** Files in memory, read in pieces of few bytes so that every border between two is met. */
export class MemoryFiles implements InputFiles {
  constructor(
    private readonly contents: Readonly<Record<string, Buffer>>,
    private readonly pieceBytes = 7,
  ) {}

  public list(): InputFile[] {
    return Object.keys(this.contents)
      .sort()
      .map((name) => ({ name, bytes: this.contents[name]!.length, digest: sha256(this.contents[name]!) }));
  }

  public async *read(name: string, from: number, to: number): AsyncGenerator<Buffer> {
    const content = this.contents[name]!.subarray(from, to);
    for (let i = 0; i < content.length; i += this.pieceBytes)
      yield await Promise.resolve(content.subarray(i, i + this.pieceBytes));
  }
}
