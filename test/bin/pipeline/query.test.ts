import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type CommandOutput, queryCommand, rollBackCommand, runCommand } from '../../../bin/pipeline/commands';
import { UserError } from '../../../bin/user-error';
import { PipelineSandbox } from '../../hard/pipeline-corpus';

/** Directions of the word "cat" and of all others, by model: what one calls a cat is a dog to the other. */
const MODELS: Readonly<Record<string, readonly [cat: number[], other: number[]]>> = {
  old: [
    [1, 0],
    [0, 1],
  ],
  turned: [
    [0, 1],
    [1, 0],
  ],
  long: [
    [1, 0, 0],
    [0, 1, 0],
  ],
};

const pages = (model: string, dimensions: number, retrieval: object = {}) => ({
  name: 'pages',
  source: { format: 'document' },
  stages: [
    { name: 'chunk', work: { chunk: {} } },
    { name: 'embed', work: { embed: { model, dimensions } } },
  ],
  retrieval,
});

describe('a query from the command line', () => {
  let sandbox: PipelineSandbox;
  let printed: string;
  let gone: readonly string[] = [];
  const output: CommandOutput = { print: (text) => (printed += text), progress: { write: () => true } };
  const server = createServer((request, response) => {
    let body = '';
    request.setEncoding('utf8').on('data', (part: string) => (body += part));
    request.on('end', () => {
      const { model, input } = JSON.parse(body) as { model: string; input: string[] };
      const data = input.map((text) => ({ embedding: MODELS[model]![text.includes('cat') ? 0 : 1] }));
      response.statusCode = gone.includes(model) ? 404 : 200;
      response.end(JSON.stringify({ data }));
    });
  });
  beforeAll(() => new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening)));
  afterAll(() => void server.close());
  beforeEach(() => {
    printed = '';
    gone = [];
    sandbox = new PipelineSandbox(pages('old', 2));
    sandbox.write('input/cat.md', 'A cat.\n');
    sandbox.write('input/dog.md', 'A dog.\n');
  });
  afterEach(() => sandbox.remove());

  const options = () => ({
    ...sandbox.options(),
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
  });
  const runWith = (definition: object) => {
    sandbox.write('pipeline.json', JSON.stringify(definition));
    return runCommand(options(), output);
  };
  const nearest = async () => {
    printed = '';
    await queryCommand('cat', { ...options(), results: 1 }, output);
    return /(\w+)\.md/.exec(printed)![1];
  };

  it.each([
    ['turned', 2],
    ['long', 3],
  ])('is embedded by the model of the index that answers, while that of %s is held back', async (model, dimensions) => {
    await runWith(pages('old', 2));
    expect(await nearest()).toBe('cat');
    sandbox.write('golden.jsonl', JSON.stringify({ query: 'cat', uri: 'bird.md' }));
    await runWith(pages(model, dimensions, { goldenSet: 'golden.jsonl' }));
    expect(printed).toContain('held back: too few of the golden set found');
    expect(await nearest()).toBe('cat');
  });

  it('is embedded, as the golden set is, by the model of the version that was gone back to', async () => {
    await runWith(pages('old', 2));
    sandbox.write('golden.jsonl', JSON.stringify({ query: 'cat', uri: 'cat.md' }));
    await runWith(pages('long', 3, { goldenSet: 'golden.jsonl', results: 1 }));
    expect(await nearest()).toBe('cat');
    printed = '';
    await rollBackCommand(undefined, options(), output);
    expect(printed).toContain('queries are answered by');
    expect(await nearest()).toBe('cat');
  });

  it('says what the index holds where that model is served no more', async () => {
    await runWith(pages('old', 2));
    gone = ['old'];
    sandbox.write('pipeline.json', JSON.stringify(pages('long', 3)));
    const asked = nearest();
    await expect(asked).rejects.toThrow(
      'the index holds vectors of old with 2 numbers, the definition embeds with long with 3 numbers: run the pipeline (the endpoint gives no vectors of old: status 404',
    );
    await expect(asked).rejects.toBeInstanceOf(UserError);
  });
});
