import { beforeAll, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { Bucket } from '../../../lambda/aws/bucket';
import type { AwsService } from '../../../lambda/aws/service';
import { agree, createBucket, describeAgreement, named, type Operation } from './agreement';

const operationOf = (input: unknown, run: Operation<Bucket>['run']) => named(JSON.stringify(input), run);

const key = fc.constantFrom('a', 'b/c', 'ü +%?#', "it's (1)*!");
const text = fc.constantFrom('', 'x', 'hello', 'grüße\n');
const part = fc.constantFrom(0, 1, 3, 4 * 1024 * 1024);

async function* repeated(sizes: readonly number[]): AsyncGenerator<Uint8Array> {
  for (const [i, size] of sizes.entries()) yield await Promise.resolve(Buffer.alloc(size, `${i}`));
}

const operation: fc.Arbitrary<Operation<Bucket>> = fc.oneof(
  {
    weight: 3,
    arbitrary: fc
      .record({ key, text, onlyIfAbsent: fc.boolean() })
      .map((o) => operationOf({ put: o }, (bucket) => bucket.put(o.key, o.text, { ...o, contentType: 'text/plain' }))),
  },
  fc
    .record({ key, sizes: fc.array(part, { maxLength: 5 }) })
    .map((o) => operationOf({ upload: o }, (bucket) => bucket.upload(o.key, repeated(o.sizes)))),
  {
    weight: 3,
    arbitrary: fc
      .record({ key, from: fc.constantFrom(undefined, 0, 1, 4, 100), to: fc.constantFrom(undefined, 4, 6, 1000) })
      .map((o) =>
        operationOf({ get: o }, async (bucket) => {
          const range =
            o.from === undefined ? {} : { range: { from: o.from, ...(o.to !== undefined && { to: o.to }) } };
          const object = await bucket.get(o.key, range);
          let read = 0;
          for await (const chunk of object?.body ?? []) read += chunk.byteLength;
          return object && { read, bytes: object.bytes, etag: object.etag };
        }),
      ),
  },
  key.map((k) =>
    operationOf({ head: k }, async (bucket) => {
      const head = await bucket.head(k);
      return head && { bytes: head.bytes, etag: head.etag, contentType: head.contentType };
    }),
  ),
  key.map((k) => operationOf({ remove: k }, (bucket) => bucket.remove(k))),
  fc.record({ key, text }).map((o) =>
    operationOf({ presigned: o }, async (bucket) => {
      const bytes = Buffer.byteLength(o.text);
      const put = await fetch(await bucket.presignedPut(o.key, { seconds: 60, bytes }), {
        method: 'PUT',
        body: o.text,
      });
      const get = await fetch(await bucket.presignedGet(o.key, { seconds: 60, filename: 'a b.txt' }));
      return [put.status, get.status, await get.text()];
    }),
  ),
);

describeAgreement('the embedded bucket', (servers) => {
  let embedded: AwsService;
  let buckets = 0;

  beforeAll(async () => {
    [embedded] = servers().services('s3');
    await createBucket(embedded, 'files');
  });

  it('does what moto does, whatever it is asked', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(operation, { minLength: 5, maxLength: 20 }), async (operations) => {
        buckets += 1;
        const services = servers().services('s3');
        await Promise.all(services.map((service) => createBucket(service, `bucket${buckets}`)));
        const both = services.map((service) => new Bucket(service, `bucket${buckets}`)) as [Bucket, Bucket];
        await agree(operations, both);
      }),
      { numRuns: 50, seed: 20261124 },
    );
  }, 120_000);

  it('takes by an address what it was made for, as long as it holds, and nothing else', async () => {
    const bucket = new Bucket(embedded, 'files');
    const put = async (url: string, body: string, method = 'PUT') => (await fetch(url, { method, body })).status;
    const address = await bucket.presignedPut('k', { seconds: 60, bytes: 5 });
    expect(await put(address, 'hell')).toBe(403);
    expect(await put(address, 'hello!')).toBe(403);
    expect(await put(address.replace('/k?', '/other?'), 'hello')).toBe(403);
    expect(await put(address, 'hello', 'DELETE')).toBe(403);
    expect(await put(address.replace('Expires=60', 'Expires=6000'), 'hello')).toBe(403);
    expect(await put(`${embedded.origin.href}files/k`, 'hello')).toBe(403);
    expect(await bucket.head('k')).toBeUndefined();
    expect(await put(address, 'hello')).toBe(200);
    const late = new Bucket({ ...embedded, now: () => new Date(Date.now() - 61_000) }, 'files');
    const answer = await fetch(await late.presignedGet('k', { seconds: 60, filename: 'f' }));
    expect([answer.status, await answer.text()]).toEqual([403, expect.stringContaining('Request has expired')]);
    const good = await fetch(await bucket.presignedGet('k', { seconds: 60, filename: 'a (ü).txt' }));
    expect(good.headers.get('content-disposition')).toBe("attachment; filename*=UTF-8''a%20%28%C3%BC%29.txt");
    expect(await good.text()).toBe('hello');
  });

  it('refuses what it does not know, rather than do something else', async () => {
    const call = async (path: string, init: RequestInit = {}) => {
      const headers = { authorization: 'AWS4-HMAC-SHA256 x', ...init.headers };
      const answer = await fetch(new URL(path, embedded.origin), { ...init, headers });
      return [answer.status, /<Code>(.*)<\/Code>/.exec(await answer.text())?.[1]];
    };
    expect(await call('/files')).toEqual([501, 'NotImplemented']);
    expect(await call('/files/k?tagging')).toEqual([501, 'NotImplemented']);
    expect(await call('/files/k', { method: 'PUT', headers: { 'x-amz-copy-source': '/files/a' } })).toEqual([
      501,
      'NotImplemented',
    ]);
    expect(await call('/files/k?partNumber=1&uploadId=x', { method: 'PUT', body: 'x' })).toEqual([404, 'NoSuchUpload']);
    expect(await call('/nobodys/k')).toEqual([404, 'NoSuchBucket']);
  });
});
