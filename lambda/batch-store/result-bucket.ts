import type { Bucket } from '../aws/bucket';
import { resultKey, type Shelves, type StoredObject } from '../queueing/books';
import type { ItemOutcome, ItemRef, ResultLine, ResultShelf } from '../queueing/item';
import { writtenResult } from '../queueing/result-text';

/** How long the address of an upload or a download holds, in seconds. */
const ADDRESS_SECONDS = 900;

/** Inputs and results in the bucket. */
export class ResultBucket implements Shelves, ResultShelf {
  constructor(private readonly bucket: Bucket) {}

  public open(
    key: string,
    from = 0,
  ): Promise<(StoredObject & { readonly body: AsyncIterable<Uint8Array> }) | undefined> {
    return this.bucket.get(key, from > 0 ? { range: { from } } : {});
  }

  public head(key: string): Promise<StoredObject | undefined> {
    return this.bucket.head(key);
  }

  public async put(key: string, body: Uint8Array | string, contentType: string): Promise<void> {
    await this.bucket.put(key, body, { contentType });
  }

  public upload(key: string, chunks: AsyncIterable<Uint8Array>): Promise<{ readonly bytes: number }> {
    return this.bucket.upload(key, chunks, { contentType: 'application/jsonl' });
  }

  public remove(key: string): Promise<void> {
    return this.bucket.remove(key);
  }

  public uploadUrl(key: string, bytes: number): Promise<string> {
    return this.bucket.presignedPut(key, { seconds: ADDRESS_SECONDS, bytes });
  }

  public downloadUrl(key: string, filename: string): Promise<string> {
    return this.bucket.presignedGet(key, { seconds: ADDRESS_SECONDS, filename });
  }

  public result(item: ItemRef): Promise<string | undefined> {
    return this.bucket.text(resultKey(item));
  }

  public write(
    item: ItemRef,
    result: ResultLine,
    { replace = false }: { readonly replace?: boolean } = {},
  ): Promise<'written' | 'present'> {
    const options = { contentType: 'application/json', onlyIfAbsent: !replace };
    return this.bucket.put(resultKey(item), JSON.stringify(result), options);
  }

  public async outcome(item: ItemRef): Promise<ItemOutcome | undefined> {
    const stored = await this.result(item);
    return stored === undefined ? undefined : writtenResult(stored).outcome;
  }
}
