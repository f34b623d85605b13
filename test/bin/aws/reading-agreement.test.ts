import { expect, it } from '@jest/globals';
import { toAttributes } from '../../../lambda/aws/attribute-value';
import { Bucket } from '../../../lambda/aws/bucket';
import { listObjects } from '../../../lambda/aws/object-list';
import { callJson } from '../../../lambda/aws/service';
import { Table } from '../../../lambda/aws/table';
import { createBucket, createTable, describeAgreement, outcomeOf } from './agreement';

describeAgreement('what is read many at a time', (servers) => {
  it('is listed as moto lists it: by prefix, in the order of bytes, page after page', async () => {
    const keys = ['a', 'b/c', 'b/d e', 'b/ü +%?#', 'b/Z', 'b/é&<', 'c'];
    const listed = await Promise.all(
      servers()
        .services('s3')
        .map(async (service) => {
          await createBucket(service, 'listed');
          const bucket = new Bucket(service, 'listed');
          for (const key of keys) await bucket.put(key, key);
          for (let i = 0; i < 1100; i++) await bucket.put(`many/${i}`, '');
          const all = async (prefix: string) => {
            const found: unknown[] = [];
            for await (const { modifiedMs, ...object } of listObjects(service, 'listed', prefix)) {
              // The servers were not written to at one time.
              found.push({
                ...object,
                isDated: Math.abs(Date.now() - modifiedMs) < 120_000 && modifiedMs % 1000 === 0,
              });
            }
            return found;
          };
          const missing = await outcomeOf(
            (async () => {
              for await (const object of listObjects(service, 'nowhere', '')) return object;
            })(),
          );
          return { below: await all('b/'), none: await all('x'), many: await all('many/'), missing };
        }),
    );
    expect(listed[0]).toEqual(listed[1]);
    expect(listed[0]!.below).toHaveLength(5);
    expect(listed[0]!.below[0]).toMatchObject({ key: 'b/Z', bytes: 3, isDated: true });
    expect(listed[0]!.many).toHaveLength(1100);
  }, 120_000);

  it('is read by keys as moto reads it: those that are there, and no key twice', async () => {
    const answers = await Promise.all(
      servers()
        .services('dynamodb')
        .map(async (service) => {
          await createTable(service, 'batch');
          const table = new Table(service, 'batch');
          for (const sk of ['x', 'y', 'z']) await table.put({ pk: 'a', sk, n: 1.5 });
          const read = (...sort: readonly string[]) =>
            outcomeOf(
              callJson(service, 'DynamoDB_20120810.BatchGetItem', {
                RequestItems: { batch: { Keys: sort.map((sk) => toAttributes({ pk: 'a', sk })) } },
              }).then((answer) => {
                const { Responses, UnprocessedKeys } = answer as {
                  Responses: Record<string, { sk: { S: string } }[]>;
                  UnprocessedKeys: object;
                };
                const rows = [...Responses.batch!].sort((one, other) => (one.sk.S < other.sk.S ? -1 : 1));
                return { rows, UnprocessedKeys };
              }),
            );
          return [await read('x', 'z', 'none'), await read('none'), await read('x', 'x')];
        }),
    );
    expect(answers[0]).toEqual(answers[1]);
    expect(answers[0]![0]).toMatchObject({ result: { rows: [{ sk: { S: 'x' } }, { sk: { S: 'z' } }] } });
  }, 60_000);
});
