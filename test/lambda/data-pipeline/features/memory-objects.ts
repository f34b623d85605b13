import { sha256 } from '../../../../lambda/data-pipeline/digest';
import type { OfflineObject, OfflineObjects } from '../../../../lambda/data-pipeline/features/offline-objects';

interface Version {
  readonly body?: Buffer;
  readonly modifiedMs: number;
}

/** A versioned bucket in memory, which may fail at any of its calls. */
export class MemoryObjects implements OfflineObjects {
  /** Versions of each object, the newest last; one without a body is a marker that it was deleted. */
  public readonly versions = new Map<string, Version[]>();
  /** Calls that still succeed: the one after them fails, and so does each later one. */
  public callsLeft = Infinity;

  constructor(public now: () => number) {}

  public async *list(prefix: string): AsyncGenerator<OfflineObject> {
    await this.call();
    for (const key of this.keys(prefix)) {
      const { body, modifiedMs } = this.versions.get(key)!.at(-1)!;
      yield { key, bytes: body!.length, etag: sha256(body!), modifiedMs };
    }
  }

  public async get(key: string): Promise<Buffer | undefined> {
    await this.call();
    return this.versions.get(key)?.at(-1)?.body;
  }

  public async *stream(key: string): AsyncGenerator<Uint8Array> {
    const body = (await this.get(key)) ?? Buffer.alloc(0);
    for (let i = 0; i < body.length; i += 7) yield body.subarray(i, i + 7);
  }

  public async put(key: string, body: Uint8Array | string): Promise<void> {
    await this.call();
    this.versions.set(key, [
      ...(this.versions.get(key) ?? []),
      { body: Buffer.from(body as Uint8Array), modifiedMs: this.now() },
    ]);
  }

  public async remove(key: string): Promise<void> {
    await this.call();
    this.versions.set(key, [...(this.versions.get(key) ?? []), { modifiedMs: this.now() }]);
  }

  public async purge(prefix: string): Promise<number> {
    await this.call();
    let purged = 0;
    for (const [key, versions] of this.versions) {
      if (!key.startsWith(prefix)) continue;
      purged += versions.length - 1;
      this.versions.set(key, versions.slice(-1));
    }
    return purged;
  }

  /** Keys of what readers see. */
  public keys(prefix: string): string[] {
    const seen = [...this.versions].filter(([key, versions]) => key.startsWith(prefix) && versions.at(-1)!.body);
    return seen.map(([key]) => key).sort();
  }

  /** Whether any version of any object holds these bytes. */
  public holds(text: string): string[] {
    const wanted = Buffer.from(text);
    return [...this.versions]
      .filter(([, versions]) => versions.some(({ body }) => body?.includes(wanted)))
      .map(([key]) => key);
  }

  private async call(): Promise<void> {
    await Promise.resolve();
    if (this.callsLeft-- <= 0) throw new Error('cut off');
  }
}
