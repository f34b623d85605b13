import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { FilePointers } from '../../../bin/pipeline/file-pointers';
import { FileStore } from '../../../bin/pipeline/file-store';
import { VectorDistance } from '../../../lib/policy';
import { ExactIndexes } from '../../../lambda/data-pipeline/retrieval/exact-indexes';
import { activeIndex, switchIndex } from '../../../lambda/data-pipeline/retrieval/switch-index';
import { putLines } from '../../../lambda/data-pipeline/running/line-object';
import type { PointerStore } from '../../../lambda/data-pipeline/storage';
import type { Manifest } from '../../../lambda/data-pipeline/versions/manifest';
import { indexPointers, versionPorts } from '../../../lambda/pipeline-store/environment';
import { hasMoto, type MotoServer, startMoto } from '../moto-server';

/** What a pipeline keeps of the version that readers see, and of the index that answers. */
interface Pointers {
  readonly versions: PointerStore;
  readonly index: PointerStore;
}

const root = mkdtempSync(join(tmpdir(), 'pipeline-pointers-'));
let moto: MotoServer | undefined;

beforeAll(async () => {
  if (!hasMoto) return;
  moto = await startMoto();
  moto.python(`
aws('dynamodb').create_table(TableName='pointers', BillingMode='PAY_PER_REQUEST',
    KeySchema=[{'AttributeName': 'pipeline', 'KeyType': 'HASH'}, {'AttributeName': 'sequence', 'KeyType': 'RANGE'}],
    AttributeDefinitions=[{'AttributeName': 'pipeline', 'AttributeType': 'S'}, {'AttributeName': 'sequence', 'AttributeType': 'S'}])`);
}, 60_000);
afterAll(async () => {
  rmSync(root, { recursive: true, force: true });
  await moto?.close();
});

const STORES: [string, (name: string) => Pointers][] = [
  [
    'files',
    (name) => ({
      versions: new FilePointers(join(root, name)),
      index: new FilePointers(join(root, name, 'indexes')),
    }),
  ],
];
if (hasMoto) {
  STORES.push([
    'DynamoDB',
    (name) => {
      const environment = { ...moto!.environment, POINTER_TABLE: 'pointers', PIPELINE_BUCKET: 'versions' };
      return { versions: versionPorts(environment, name).pointers, index: indexPointers(environment, name) };
    },
  ]);
}

describe.each(STORES)('the pointers in %s', (_name, open) => {
  it.each(['versions', 'index'] as const)('let one of two flips win that come together (%s)', async (which) => {
    const [one, other] = [open(`race-${which}`)[which], open(`race-${which}`)[which]];
    expect(await one.current()).toBeUndefined();
    for (let sequence = 1; sequence <= 20; sequence++) {
      const wins = await Promise.all(
        [one, other].map((pointers, i) =>
          pointers.flip({ sequence, version: `v${sequence}-${i}`, index: `i${sequence}-${i}`, reason: 'publish' }),
        ),
      );
      expect([...wins].sort()).toEqual([false, true]);
      const winner = wins.indexOf(true);
      expect(await one.current()).toEqual({
        ...{ sequence, version: `v${sequence}-${winner}`, index: `i${sequence}-${winner}`, reason: 'publish' },
      });
    }
    expect((await other.history()).map(({ sequence }) => sequence)).toEqual(
      Array.from({ length: 20 }, (_, i) => i + 1),
    );
  });

  it('keep the version that readers see apart from the index that answers', async () => {
    const { versions, index } = open('apart');
    await versions.flip({ sequence: 1, version: 'a', reason: 'publish' });
    expect(await index.current()).toBeUndefined();
    await index.flip({ sequence: 1, version: 'b', index: 'i', reason: 'publish' });
    expect(await versions.history()).toEqual([{ sequence: 1, version: 'a', reason: 'publish' }]);
  });

  it('let the index of the version that readers see win, of ten that are switched to together', async () => {
    const { versions, index } = open('switch');
    const store = new FileStore(join(root, `objects-${_name}`));
    const indexes = new ExactIndexes(store);
    await versions.flip({ sequence: 1, version: 'v7', reason: 'publish' });
    const results = await Promise.all(
      Array.from({ length: 10 }, async (_, i) => {
        const part = await putLines(store, [JSON.stringify({ id: `r${i}`, embedding: [1, i] })]);
        const manifest = { pipeline: 'p', embedding: { model: 'm', dimensions: 2 }, shards: [{ part }] };
        return switchIndex(
          { version: `v${i}`, manifest: manifest as unknown as Manifest },
          [],
          { leastRecall: 1, results: 1, distance: VectorDistance.COSINE, fields: [], dimensions: 2 },
          {
            ...{ store, indexes, active: index, embed: () => Promise.resolve([]) },
            shown: async () => (await versions.current())?.version,
          },
        );
      }),
    );
    expect(results.map(({ isSwitched }) => isSwitched)).toEqual(results.map((_, i) => i === 7));
    expect(results.filter(({ overtakenBy }) => overtakenBy === 'v7')).toHaveLength(9);
    const active = (await activeIndex(index))!;
    expect(active).toMatchObject({ version: 'v7', embedding: { model: 'm', dimensions: 2 } });
    const answers = await (await indexes.open(active.index))!.query([1, 1], 5);
    expect(answers.map(({ id }) => id)).toEqual(['r7']);
  });
});
