import { createHash } from 'node:crypto';
import { sha256 } from '../digest';
import type { ObjectStore } from '../storage';
import { type ObjectReference, objectKey } from '../versions/manifest';

const LINE_FEED = 0x0a;

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
    const digest = this.hash.digest('hex');
    await store.put(objectKey(digest), content);
    return { sha256: digest, bytes: content.length, records: this.records };
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

/** The lines of an object. */
export async function linesOfObject(store: ObjectStore, reference: ObjectReference): Promise<string[]> {
  return reference.records === 0 ? [] : [...linesIn(await contentOf(store, reference))];
}

/** An object, checked against its hash. */
export async function contentOf(store: ObjectStore, reference: ObjectReference): Promise<Buffer> {
  const content = await store.get(objectKey(reference.sha256));
  if (content === undefined || sha256(content) !== reference.sha256) {
    throw new Error(`the object ${reference.sha256} is ${content === undefined ? 'gone' : 'not what was written'}`);
  }
  return content;
}

/** The lines of bytes that end with a line feed. Each is a text of its own, that does not keep the others in memory. */
export function* linesIn(content: Buffer): Generator<string> {
  for (let from = 0; from < content.length;) {
    const feed = content.indexOf(LINE_FEED, from);
    const to = feed < 0 ? content.length : feed;
    yield content.toString('utf8', from, to);
    from = to + 1;
  }
}
