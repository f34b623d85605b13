import { describe, expect, it } from '@jest/globals';
import { AwsError } from '../../../lambda/aws/aws-error';
import type { DataRecord } from '../../../lambda/data-pipeline/reading/source-record';
import { embedWorker } from '../../../lambda/data-pipeline/stages/embed';
import {
  embeddingClient,
  type EndpointAnswer,
  TextRefused,
} from '../../../lambda/data-pipeline/stages/embedding-client';
import { FunctionError, functionWorker } from '../../../lambda/data-pipeline/stages/function-stage';
import { MemoryStore } from './memory-store';

const WORK = {
  model: 'm',
  dimensions: 2,
  requestDimensions: false,
  field: 'text',
  context: [],
  batchSize: 4,
  parallelCalls: 2,
  attempts: 3,
};
const vectorOf = (text: string) => [text.length, 0.1];

function records(count: number): DataRecord[] {
  return Array.from({ length: count }, (_, i) => ({ text: 'x'.repeat(i + 1) }));
}

describe('the embed stage', () => {
  it('asks in batches, once for equal texts, and never again for what it has kept', async () => {
    const asked: string[][] = [];
    const embed = (texts: readonly string[]) => {
      asked.push([...texts]);
      return Promise.resolve(texts.map(vectorOf));
    };
    const cache = new MemoryStore();
    const first = await embedWorker(WORK, { embed, cache }).run([...records(6), ...records(6)], {});
    expect(asked.map((batch) => batch.length)).toEqual([4, 2]);
    expect(first[11]).toEqual({ records: [{ text: 'xxxxxx', embedding: [6, 0.1] }] });
    expect(await embedWorker(WORK, { embed, cache }).run(records(6), {})).toEqual(first.slice(0, 6));
    expect(asked).toHaveLength(2);
    await embedWorker({ ...WORK, model: 'other' }, { embed, cache }).run(records(1), {});
    expect(asked).toHaveLength(3);
  });

  it('sets aside the text that the model refuses, and no other of its batch', async () => {
    const embed = (texts: readonly string[]) =>
      texts.includes('xxx') ? Promise.reject(new TextRefused('too long')) : Promise.resolve(texts.map(vectorOf));
    const results = await embedWorker(WORK, { embed }).run(records(6), {});
    expect(results.map((result) => 'fault' in result)).toEqual([false, false, true, false, false, false]);
    expect(results[2]).toEqual({ fault: 'is a text that the embedding model refuses: too long' });
  });

  it('says why a text is refused, unless the reason repeats what it holds', async () => {
    const faults = async (message: string) => {
      const embed = () => Promise.reject(new TextRefused(message));
      const [result] = await embedWorker(WORK, { embed }).run([{ text: 'call Ada Lovelace at 5pm' }], {});
      return result;
    };
    expect(await faults('status 400: at most\n8192 tokens')).toEqual({
      fault: 'is a text that the embedding model refuses: status 400: at most 8192 tokens',
    });
    expect(await faults('status 422: {"input":"call Ada Lovelace')).toEqual({
      fault: 'is a text that the embedding model refuses: its reason repeats the text',
    });
  });

  it('stops where vectors have another length than the definition says', async () => {
    const embed = (texts: readonly string[]) => Promise.resolve(texts.map(() => [1, 2, 3]));
    await expect(embedWorker(WORK, { embed }).run(records(1), {})).rejects.toThrow(
      'm gives vectors of 3 numbers, where dimensions says 2',
    );
  });
});

describe('the client of embedding endpoints', () => {
  const good: EndpointAnswer = {
    status: 200,
    body: JSON.stringify({
      data: [
        { index: 1, embedding: [2] },
        { index: 0, embedding: [1] },
      ],
    }),
  };

  function client(answers: (EndpointAnswer | Error)[]) {
    const waits: number[] = [];
    const bodies: string[] = [];
    const ask = embeddingClient(
      { model: 'm', attempts: 3 },
      {
        post: (body) => {
          bodies.push(body);
          const answer = answers.shift()!;
          return answer instanceof Error ? Promise.reject(answer) : Promise.resolve(answer);
        },
        sleep: (ms) => Promise.resolve(void waits.push(ms)),
        random: () => 0.5,
      },
    );
    return { ask: () => ask(['a', 'b']), waits, bodies };
  }

  it('repeats what may pass, with a growing delay or the one that is asked for, and puts vectors in order', async () => {
    const { ask, waits, bodies } = client([new Error('reset'), { status: 503, body: '' }, good]);
    expect(await ask()).toEqual([[1], [2]]);
    expect(waits).toEqual([250, 500]);
    expect(JSON.parse(bodies[0]!)).toEqual({ model: 'm', input: ['a', 'b'], encoding_format: 'float' });
    const limited = Array.from({ length: 8 }, (): EndpointAnswer => ({ status: 429, body: '', retryAfterSeconds: 2 }));
    const patient = client([...limited, good]);
    expect(await patient.ask()).toEqual([[1], [2]]);
    expect(patient.waits).toEqual(limited.map(() => 2000));
  });

  it('gives up on what stays, and says which fault it was', async () => {
    await expect(client([{ status: 401, body: 'no key' }]).ask()).rejects.toThrow(
      'the endpoint gives no vectors of m: status 401: no key',
    );
    await expect(client([{ status: 400, body: 'too long' }]).ask()).rejects.toThrow(TextRefused);
    await expect(client([new Error('a'), new Error('b'), new Error('c')]).ask()).rejects.toThrow('Error: c');
    await expect(client([{ status: 200, body: '{"data":[]}' }]).ask()).rejects.toThrow('gives 0 vectors for 2 texts');
    const large = JSON.stringify({ data: [{ embedding: [1e39] }, { embedding: [1] }] });
    await expect(client([{ status: 200, body: large }]).ask()).rejects.toThrow('gives 1 vectors for 2 texts');
  });
});

describe('the embed stage', () => {
  it('embeds a piece with the headings that it stands under, where it has any, and leaves its text as it is', async () => {
    const asked: string[] = [];
    const embed = (texts: readonly string[]) => {
      asked.push(...texts);
      return Promise.resolve(texts.map(vectorOf));
    };
    const pieces = [
      { text: 'Repeat it.', heading: 'Queue > Redrive', title: 'Queue' },
      { text: 'Repeat it.', heading: 'Cache' },
      { text: 'Repeat it.', heading: '' },
      { text: 'Repeat it.', heading: 7 },
      { text: 'Repeat it.' },
    ];
    const worker = embedWorker({ ...WORK, context: ['title', 'heading'] }, { embed });
    const results = await worker.run(pieces, {});
    expect(asked).toEqual(['Queue\nQueue > Redrive\nRepeat it.', 'Cache\nRepeat it.', 'Repeat it.']);
    expect(results).toEqual(
      pieces.map((piece, i) => ({
        records: [{ ...piece, embedding: vectorOf(asked[Math.min(i, 2)]!) }],
      })),
    );
  });
});

describe('a function stage', () => {
  it('sets aside the record that crashes the function, after few repetitions', async () => {
    let calls = 0;
    const worker = functionWorker(100, (batch) => {
      calls++;
      if (batch.some(({ text }) => text === 'xxxxxxx')) throw new FunctionError('Runtime exited');
      return Promise.resolve({ results: batch.map((record) => ({ records: [record, record] })) });
    });
    const results = await worker.run(records(100), {});
    expect(results.filter((result) => 'fault' in result)).toEqual([{ fault: 'Error: Runtime exited' }]);
    expect(results.findIndex((result) => 'fault' in result)).toBe(6);
    expect(calls).toBeLessThan(16);
  });

  it('ends the run where the function cannot be called, and blames no record for it', async () => {
    const throttled = new AwsError('Invoke was answered 429', 'TooManyRequestsException', 429);
    let calls = 0;
    const worker = functionWorker(100, () => {
      calls++;
      return Promise.reject(throttled);
    });
    await expect(worker.run(records(3), {})).rejects.toBe(throttled);
    expect(calls).toBe(1);
  });

  it('takes faults that the function names, and refuses an answer of another form', async () => {
    const named = functionWorker(10, () => Promise.resolve({ results: [{ fault: 'unknown customer' }] }));
    expect(await named.run(records(1), {})).toEqual([{ fault: 'unknown customer' }]);
    for (const answer of [undefined, {}, { results: [] }, { results: [{}] }, { results: [{ records: [1] }] }]) {
      const [result] = await functionWorker(10, () => Promise.resolve(answer)).run(records(1), {});
      expect(result).toEqual({ fault: expect.stringMatching(/^Error: (the function must answer|each result)/) });
    }
    const deep = JSON.parse(`${'{"a":'.repeat(5000)}1${'}'.repeat(5000)}`) as object;
    const [result] = await functionWorker(10, () => Promise.resolve({ results: [{ records: [deep] }] })).run(
      records(1),
      {},
    );
    expect(result).toEqual({ fault: 'the function gives a record that nests deeper than 64 levels' });
  });
});
