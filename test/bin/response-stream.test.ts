import { pipeline } from 'node:stream';
import { text } from 'node:stream/consumers';
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { ResponseStream, StreamedResponse } from '../../bin/start/response-stream';

describe('a streamed answer', () => {
  it('arrives with its status, its headers and its body, however it is cut', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.dictionary(fc.stringMatching(/^[a-z-]{1,10}$/), fc.string()),
        fc.string({ minLength: 1 }),
        fc.integer({ min: 1, max: 30 }),
        async (headers, body, size) => {
          const metadata = { statusCode: 200, headers };
          const sent = Buffer.concat([Buffer.from(JSON.stringify(metadata)), Buffer.alloc(8), Buffer.from(body)]);
          const answer = new StreamedResponse();
          const received = text(answer);
          for (let at = 0; at < sent.length; at += size) answer.write(sent.subarray(at, at + size));
          answer.end();
          expect(await answer.metadata).toEqual(JSON.parse(JSON.stringify(metadata)));
          expect(await received).toBe(Buffer.from(body).toString());
        },
      ),
      { numRuns: 50 },
    );
  });

  it('sends status and headers with the first write, not before', async () => {
    const stream = new ResponseStream();
    stream.setContentType('application/vnd.awslambda.http-integration-response');
    stream.precedeWith({ statusCode: 200 });
    expect(stream.readableLength).toBe(0);
    stream.end('body');
    expect(await text(stream)).toBe(`{"statusCode":200}${'\0'.repeat(8)}body`);
  });

  it('holds the handler back while nobody reads', () => {
    const stream = new ResponseStream();
    let writes = 0;
    while (stream.write('x'.repeat(1024)) && writes < 1000) writes += 1;
    expect(writes).toBeLessThan(200);
  });

  it.each([
    ['ends without status', '', 'ended before its status'],
    ['has no JSON before the body', `nonsense${'\0'.repeat(8)}`, 'JSON'],
    ['has an impossible status', `{"statusCode":99}${'\0'.repeat(8)}`, 'got 99'],
    ['is all body', 'x'.repeat(20_000), 'no status and headers'],
  ])('is refused where it %s', async (_, sent, words) => {
    const answer = new StreamedResponse();
    answer.on('error', () => undefined);
    answer.end(sent);
    await expect(answer.metadata).rejects.toThrow(words);
  });

  it('tells its reader that the handler failed', async () => {
    const stream = new ResponseStream();
    const answer = new StreamedResponse();
    pipeline(stream, answer, () => undefined);
    stream.destroy(new Error('handler failed'));
    await expect(answer.metadata).rejects.toThrow('handler failed');
  });
});
