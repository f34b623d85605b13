import { randomBytes } from 'node:crypto';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { Bucket } from '../../../lambda/aws/bucket';
import type { ObjectStream } from '../../../lambda/aws/object-stream';
import { awsService } from '../../../lambda/aws/service';
import { hasMoto, type MotoServer, startMoto } from '../moto-server';
import { type ScriptedService, scriptedService } from './fixture';

const MIB = 1024 * 1024;

async function read(object: ObjectStream | undefined): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of object!.body) chunks.push(chunk);
  return Buffer.concat(chunks);
}

async function* inPieces(data: Buffer, size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < data.length; at += size) yield await Promise.resolve(data.subarray(at, at + size));
}

(hasMoto ? describe : describe.skip)('a bucket', () => {
  let moto: MotoServer;
  let bucket: Bucket;
  const data = randomBytes(20 * MIB + 17);

  beforeAll(async () => {
    moto = await startMoto();
    moto.python(
      "aws('s3').create_bucket(Bucket='files', CreateBucketConfiguration={'LocationConstraint': 'eu-west-1'})",
    );
    bucket = new Bucket(awsService(moto.environment, 's3', 20_000), 'files');
  }, 90_000);
  afterAll(() => moto.close());

  it('gives back what was put, whole and in ranges, by keys of any letters', async () => {
    for (const key of ['plain', "a b/ü+~!*'()/#?&=%25", 'trailing/', 'x//y']) {
      expect(await bucket.put(key, `text of ${key}`, { contentType: 'text/plain' })).toBe('written');
      expect(await bucket.text(key)).toBe(`text of ${key}`);
      expect(await bucket.text(key, { from: 8 })).toBe(key);
      expect(await bucket.text(key, { from: 0, to: 3 })).toBe('text');
    }
    const { bytes, etag } = (await bucket.get('plain', { range: { from: 5, to: 6 } }))!;
    expect({ bytes, etag }).toEqual({ bytes: 2, etag: expect.stringMatching(/^"[0-9a-f]{32}"$/) as unknown });
    await expect(bucket.text('plain', { from: 13 })).rejects.toMatchObject({ code: 'InvalidRange', status: 416 });
  });

  it('tells of an object without reading it, and of a missing one that it is missing', async () => {
    const before = Date.now();
    await bucket.put('known', Buffer.from([1, 2, 3]));
    const head = (await bucket.head('known'))!;
    expect(head).toMatchObject({ bytes: 3, contentType: 'application/octet-stream' });
    expect(Math.abs(head.modifiedAt - before)).toBeLessThan(5000);
    expect(await bucket.head('missing')).toBeUndefined();
    expect(await bucket.get('missing')).toBeUndefined();
    expect(await bucket.text('missing')).toBeUndefined();
    await expect(new Bucket(awsService(moto.environment, 's3', 5000), 'nobodys').get('x')).rejects.toMatchObject({
      code: 'NoSuchBucket',
    });
  });

  it('writes only once where it is asked to', async () => {
    const outcomes = await Promise.all(['a', 'b', 'c'].map((text) => bucket.put('once', text, { onlyIfAbsent: true })));
    expect(outcomes.filter((outcome) => outcome === 'written')).toHaveLength(1);
    const first = await bucket.text('once');
    expect(await bucket.put('once', 'late', { onlyIfAbsent: true })).toBe('present');
    expect(await bucket.text('once')).toBe(first);
    expect(await bucket.put('once', 'replaced')).toBe('written');
    expect(await bucket.text('once')).toBe('replaced');
  });

  it('removes objects, also those that are gone', async () => {
    await bucket.put('brief', '');
    expect(await bucket.text('brief')).toBe('');
    await bucket.remove('brief');
    await bucket.remove('brief');
    expect(await bucket.head('brief')).toBeUndefined();
  });

  it.each([0, 1, 8 * MIB - 1, 8 * MIB, 8 * MIB + 1, 16 * MIB, data.length])(
    'takes a stream of %d bytes as it comes',
    async (size) => {
      const part = data.subarray(0, size);
      expect(await bucket.upload('streamed', inPieces(part, 700_001), { contentType: 'text/csv' })).toEqual({
        bytes: size,
      });
      expect((await read(await bucket.get('streamed'))).equals(part)).toBe(true);
      expect((await bucket.head('streamed'))!.contentType).toBe('text/csv');
    },
  );

  it('has nothing of a stream that breaks, not even its parts', async () => {
    async function* breaking(): AsyncGenerator<Uint8Array> {
      yield* inPieces(data, MIB);
      throw new Error('the sender hung up');
    }
    await expect(bucket.upload('broken', breaking())).rejects.toThrow('the sender hung up');
    expect(await bucket.head('broken')).toBeUndefined();
    const uploads = moto.python(
      "print(json.dumps(len(aws('s3').list_multipart_uploads(Bucket='files').get('Uploads', []))))",
    );
    expect(uploads).toBe(0);
  });

  it('is written and read by addresses that need no credentials', async () => {
    const address = await bucket.presignedPut('from outside', { seconds: 60, bytes: 5 });
    expect((await fetch(address, { method: 'PUT', body: 'hello' })).status).toBe(200);
    const download = await bucket.presignedGet('from outside', { seconds: 60, filename: 'Größe (1).jsonl' });
    const answer = await fetch(download);
    expect(await answer.text()).toBe('hello');
    expect(new URL(download).searchParams.get('response-content-disposition')).toBe(
      "attachment; filename*=UTF-8''Gr%C3%B6%C3%9Fe%20%281%29.jsonl",
    );
    expect(new URL(address).searchParams.get('X-Amz-SignedHeaders')).toBe('content-length;host');
    expect(new URL(address).searchParams.get('X-Amz-Expires')).toBe('60');
  });
});

describe('a bucket', () => {
  let scripted: ScriptedService;
  let bucket: Bucket;

  beforeEach(async () => {
    scripted = await scriptedService('s3');
    bucket = new Bucket(scripted.service, 'files');
  });
  afterEach(() => scripted.close());

  it('goes on where a transfer broke, as long as the object is the same', async () => {
    const data = randomBytes(100_000);
    scripted.answer = (response, { headers }) => {
      const from = Number(/bytes=(\d+)-/.exec(headers.range ?? '')?.[1] ?? 0);
      response.writeHead(from > 0 ? 206 : 200, { etag: '"e1"', 'content-length': data.length - from });
      response.write(data.subarray(from, from + 30_000));
      setTimeout(() => response.destroy(), 20);
    };
    expect((await read(await bucket.get('large'))).equals(data)).toBe(true);
    expect(scripted.seen.length).toBeGreaterThan(3);
    for (const { headers } of scripted.seen.slice(1)) {
      expect(headers).toMatchObject({
        'if-match': '"e1"',
        range: expect.stringMatching(/^bytes=\d+-99999$/) as unknown,
      });
    }
  });

  it('gives up a transfer that brings nothing any more', async () => {
    scripted.answer = (response) => {
      response.writeHead(200, { etag: '"e1"', 'content-length': 10 }).flushHeaders();
      setTimeout(() => response.destroy(), 20);
    };
    await expect(bucket.text('dead')).rejects.toMatchObject({ code: 'NoAnswer' });
    expect(scripted.seen).toHaveLength(4);
  });

  it('lets go of a transfer that is left early', async () => {
    let isClosed = false;
    scripted.answer = (response) => {
      response.writeHead(200, { etag: '"e1"', 'content-length': 1e9 }).write('first');
      response.once('close', () => (isClosed = true));
    };
    for await (const chunk of (await bucket.get('endless'))!.body) {
      expect(Buffer.from(chunk).toString()).toBe('first');
      break;
    }
    while (!isClosed) await new Promise((resolve) => setTimeout(resolve, 5));
    expect(scripted.seen).toHaveLength(1);
  });

  it('sees the failure that S3 sends under status 200 when it puts parts together, and a lost answer as done', async () => {
    const failing = (code: string) =>
      `<?xml version="1.0"?>\n<Error><Code>${code}</Code><Message>again</Message></Error>`;
    let completions = 0;
    scripted.answer = (response, { method, url }) => {
      if (method === 'PUT') return response.writeHead(200, { etag: '"p"' }).end();
      if (url.endsWith('?uploads=')) return response.end('<R><UploadId>u1</UploadId></R>');
      completions += 1;
      if (completions === 1) return response.end(failing('InternalError'));
      return response.writeHead(404).end(failing('NoSuchUpload'));
    };
    await bucket.upload('parts', inPieces(Buffer.alloc(9 * MIB), MIB));
    expect(completions).toBe(2);
    completions = 1;
    await expect(bucket.upload('parts', inPieces(Buffer.alloc(9 * MIB), MIB))).rejects.toMatchObject({
      code: 'NoSuchUpload',
    });
    expect(scripted.seen.at(-1)).toMatchObject({ method: 'DELETE', url: '/files/parts?uploadId=u1' });
  });

  it('has its name in the host at AWS, and in the path elsewhere', async () => {
    const environment = { AWS_REGION: 'cn-north-1', AWS_ACCESS_KEY_ID: 'a', AWS_SECRET_ACCESS_KEY: 'b' };
    const atAws = new Bucket(awsService(environment, 's3', 1000), 'files');
    const url = new URL(await atAws.presignedGet('k/ü', { seconds: 1, filename: 'f' }));
    expect(url.origin + url.pathname).toBe('https://files.s3.cn-north-1.amazonaws.com.cn/k/%C3%BC');
    const elsewhere = new URL(await bucket.presignedGet('k', { seconds: 1, filename: 'f' }));
    expect(elsewhere.pathname).toBe('/files/k');
    await expect(bucket.put('a/../b', '')).rejects.toThrow('"a/../b" is no object key that an address can hold');
  });
});
