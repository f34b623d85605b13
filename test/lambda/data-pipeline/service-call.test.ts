import { describe, expect, it } from '@jest/globals';
import { Retriever } from '../../../lambda/data-pipeline/retrieval/retrieve';
import type { Match } from '../../../lambda/data-pipeline/retrieval/vector-index';
import { answerService, type BalancerAnswer } from '../../../lambda/data-pipeline/service-call';
import { MemoryPointers } from './memory-store';

/** What a load balancer takes of a function. */
const MOST_BYTES = 1_000_000;

/** As long a piece as the chunk stage makes, of what is written in two bytes in JSON. */
const TEXT = 'He said "so".\n'.repeat(2048);

describe('the answer of a service behind a load balancer', () => {
  const matches = Array.from({ length: 100 }, (_, i): Match => ({ id: `${i}`, distance: i, fields: { text: TEXT } }));
  const active = new MemoryPointers();
  active.list.push({ sequence: 1, version: 'v', index: 'i', reason: 'publish' });
  const index = {
    put: () => Promise.resolve(),
    seal: () => Promise.resolve(),
    query: (_: readonly number[], results: number) => Promise.resolve(matches.slice(0, results)),
  };
  const retriever = new Retriever('manual', 100, {
    ...{ active, now: () => 0, indexes: { open: () => Promise.resolve(index) } },
    embed: (texts) => Promise.resolve(texts.map(() => [1])),
  });
  const failures: unknown[] = [];
  const failed = (error: unknown) => failures.push(error);
  const ask = (request: object, isBalanced = true) => {
    const event = { requestContext: { elb: {} }, httpMethod: 'POST', path: '/', body: JSON.stringify(request) };
    return answerService(isBalanced ? event : request, (asked, fits) => retriever.retrieve(asked, fits), failed);
  };

  it('is small enough, or says how many results would be', async () => {
    const refused = (await ask({ query: 'x', results: 100 })) as BalancerAnswer;
    expect(refused.statusCode).toBe(400);
    const { error } = JSON.parse(refused.body) as { error: { message: string } };
    expect(error).toMatchObject({ type: 'invalid_request_error', param: 'results', code: null });
    const [, most] = /^results must be at most (\d+) for this query, got 100: .* 1 MB/.exec(error.message)!;
    const answered = (await ask({ query: 'x', results: Number(most) })) as BalancerAnswer;
    expect(answered.statusCode).toBe(200);
    expect(Buffer.byteLength(JSON.stringify(answered))).toBeLessThanOrEqual(MOST_BYTES);
    const more = (await ask({ query: 'x', results: Number(most) + 1 })) as BalancerAnswer;
    expect([more.statusCode, failures]).toEqual([400, []]);
  });

  it('is not bounded for those who invoke the function', async () => {
    expect(await ask({ query: 'x' }, false)).toMatchObject({ version: 'v', matches: { length: 100 } });
  });

  it('of a service that does not look at the size is refused all the same', async () => {
    const event = { requestContext: { elb: {} }, httpMethod: 'POST', path: '/', body: '{}' };
    const answered = (await answerService(
      event,
      () => Promise.resolve({ rows: TEXT.repeat(40) }),
      failed,
    )) as BalancerAnswer;
    expect(answered.statusCode).toBe(400);
    expect(JSON.parse(answered.body)).toMatchObject({
      error: { message: expect.stringContaining('larger than 1 MB') },
    });
  });
});
