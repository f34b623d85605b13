import { createHash } from 'node:crypto';
import type { ObjectStore } from '../storage';
import { type ObjectReference, objectKey } from '../versions/manifest';

/** Lines that are held as text. */
const HELD_LINES = 256;

/**
 * Lines that become an object. They are kept as bytes: a shard's hundred thousand strings would be what the garbage
 * collector copies again and again.
 */
export class LineObject {
  private readonly hash = createHash('sha256');
  private readonly pieces: Buffer[] = [];
  private held: string[] = [];
  private records = 0;

  public push(line: string): void {
    this.records++;
    if (this.held.push(line) >= HELD_LINES) this.flush();
  }

  /** Writes the lines as an object that is named by its content. */
  public async write(store: ObjectStore): Promise<ObjectReference> {
    this.flush();
    const content = Buffer.concat(this.pieces);
    const sha256 = this.hash.digest('hex');
    await store.put(objectKey(sha256), content);
    return { sha256, bytes: content.length, records: this.records };
  }

  private flush(): void {
    if (this.held.length === 0) return;
    const piece = Buffer.from(`${this.held.join('\n')}\n`);
    this.hash.update(piece);
    this.pieces.push(piece);
    this.held = [];
  }
}

/** Writes lines as an object that is named by its content. */
export async function putLines(store: ObjectStore, lines: Iterable<string>): Promise<ObjectReference> {
  const object = new LineObject();
  for (const line of lines) object.push(line);
  return object.write(store);
}
