import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { FileStore } from '../../../bin/pipeline/file-store';
import { putLines } from '../../../lambda/data-pipeline/running/line-object';
import { clearRunsBefore } from '../../../lambda/data-pipeline/running/staging';
import type { ObjectStore } from '../../../lambda/data-pipeline/storage';
import { objectKey } from '../../../lambda/data-pipeline/versions/manifest';
import { retain } from '../../../lambda/data-pipeline/versions/retain';
import { versionPorts } from '../../../lambda/pipeline-store/environment';
import { MemoryPointers } from '../data-pipeline/memory-store';
import { hasMoto, type MotoServer, startMoto } from '../moto-server';

const DAY_MS = 86_400_000;

const root = mkdtempSync(join(tmpdir(), 'pipeline-retention-'));
let moto: MotoServer | undefined;

beforeAll(async () => {
  if (!hasMoto) return;
  moto = await startMoto();
  moto.python(
    `aws('s3').create_bucket(Bucket='versions', CreateBucketConfiguration={'LocationConstraint': 'eu-west-1'})`,
  );
}, 60_000);
afterAll(async () => {
  rmSync(root, { recursive: true, force: true });
  await moto?.close();
});

const STORES: [string, () => ObjectStore][] = [['files', () => new FileStore(root)]];
if (hasMoto) {
  STORES.push([
    'a bucket',
    () => versionPorts({ ...moto!.environment, POINTER_TABLE: 'pointers', PIPELINE_BUCKET: 'versions' }, 'p').store,
  ]);
}

describe.each(STORES)('retention in %s', (_name, open) => {
  it('deletes what nothing names by then, and keeps what a version or a run that may go on names', async () => {
    const store = open();
    const put = async (text: string) => (await putLines(store, [text])).sha256;
    const [published, held, orphan] = [await put('published'), await put('held'), await put('orphan')];
    const version = '0'.repeat(32);
    await store.put(`versions/${version}.json`, JSON.stringify({ part: published }));
    await store.put('staging/run/run.json', '{}');
    await store.put('staging/run/held.json', JSON.stringify({ part: held }));
    const pointers = new MemoryPointers();
    await pointers.flip({ sequence: 1, version, reason: 'publish' });
    const left = async () => {
      const found = await Promise.all([published, held, orphan].map((digest) => store.get(objectKey(digest))));
      return found.map((content) => content !== undefined);
    };

    const now = Date.now();
    await retain(1, { store, pointers }, now);
    expect(await left()).toEqual([true, true, true]);
    await clearRunsBefore(now - DAY_MS, store);
    await retain(1, { store, pointers }, now + 2 * DAY_MS);
    expect(await left()).toEqual([true, true, false]);
    await clearRunsBefore(now + DAY_MS, store);
    await retain(1, { store, pointers }, now + 2 * DAY_MS);
    expect(await left()).toEqual([true, false, false]);
    expect(await store.writtenAt('staging/run/run.json')).toBeUndefined();
  });
});
