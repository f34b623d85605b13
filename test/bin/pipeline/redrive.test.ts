import { afterEach, describe, expect, it } from '@jest/globals';
import { type CommandOutput, readCommand, runCommand } from '../../../bin/pipeline/commands';
import type { RunResult } from '../../../bin/pipeline/run-pipeline';
import { PipelineSandbox } from '../../hard/pipeline-corpus';

const INPUT = {
  type: 'object',
  properties: { id: { type: 'string' }, sku: { type: 'string' }, n: { type: 'integer' } },
  required: ['id', 'n'],
  additionalProperties: false,
};
const ONE_ID = { name: 'one-id', unique: ['id'] };
const ONE_SKU = { name: 'one-sku', unique: ['sku'] };
const small = (max: number) => ({ name: 'small', range: { field: 'n', max } });

function definition(rules: object[], { output = INPUT, more = [] as object[] } = {}): object {
  const check = { name: 'check', work: { check: {} }, input: INPUT, output, rules };
  return { name: 'items', stages: [check, ...more], mostFaultRate: 0.9 };
}

const lines = (...records: object[]) => records.map((record) => `${JSON.stringify(record)}\n`).join('');
const RECORDS = lines(
  { id: '1', sku: 'a', n: 1 },
  { id: '2', sku: 'b', n: 50 },
  { id: '1', sku: 'c', n: 60 },
  { id: '3', sku: 'd', n: 5 },
);

describe('a redrive with another definition', () => {
  let sandbox: PipelineSandbox;
  afterEach(() => sandbox.remove());

  async function published(first: object, records = RECORDS): Promise<RunResult> {
    sandbox = new PipelineSandbox(first);
    sandbox.write('input/a.jsonl', records);
    const result = await sandbox.run();
    expect(result.publication?.outcome).toBe('published');
    return result;
  }
  const redriven = (version: string, other: object) => {
    sandbox.write('pipeline.json', JSON.stringify(other));
    return sandbox.run({ redrive: version });
  };

  const ENRICH = { name: 'more', work: { check: {} } };
  const renamed = (rules: object[]) =>
    JSON.parse(JSON.stringify(definition(rules)).replace('"check","work', '"see","work')) as object;
  it.each<[string, object, string]>([
    [
      'lacks a rule of uniqueness before others',
      definition([ONE_ID, small(100)]),
      'the rules of uniqueness of the stage "check" were one-sku (sku), one-id (id), and are one-id (id)',
    ],
    [
      'has a new rule of uniqueness',
      definition([ONE_SKU, ONE_ID, { name: 'both', unique: ['id', 'sku'] }, small(100)]),
      'and are one-sku (sku), one-id (id), both (id, sku)',
    ],
    [
      'has them in another order',
      definition([ONE_ID, ONE_SKU, small(100)]),
      'were one-sku (sku), one-id (id), and are one-id (id), one-sku (sku)',
    ],
    [
      'has a stage more',
      definition([ONE_SKU, ONE_ID, small(100)], { more: [ENRICH] }),
      'its stages were check, and are check, more',
    ],
    ['has a stage of another name', renamed([ONE_SKU, ONE_ID, small(100)]), 'its stages were check, and are see'],
    [
      'has a last output that refuses what was published',
      {
        ...definition([ONE_SKU, ONE_ID, small(100)]),
        stages: [
          {
            ...(definition([ONE_SKU, ONE_ID, small(100)]) as { stages: object[] }).stages[0],
            input: { ...INPUT, required: ['id', 'sku', 'n'] },
            output: { ...INPUT, required: ['id', 'sku', 'n'] },
          },
        ],
      },
      'the last output refuses what it took (required: "sku" may be left out, and is required)',
    ],
  ])('is refused where it %s, and nothing is published', async (_, other, reason) => {
    const { version } = await published(definition([ONE_SKU, ONE_ID, small(10)]));
    await expect(redriven(version, other)).rejects.toThrow(reason);
    await expect(redriven(version, other)).rejects.toThrow(
      /cannot be redriven with this definition.*Run the whole pipeline instead/,
    );
    // Such a definition is no fault of its own.
    expect((await sandbox.run()).publication?.outcome).toBe('published');
  });

  it('is refused where vectors would be of another model', async () => {
    const embedded = (model: string, max: number) => {
      const embed = { name: 'embed', work: { embed: { model, dimensions: 2, field: 'id', context: [] } } };
      return definition([ONE_ID, small(max)], { more: [embed] });
    };
    sandbox = new PipelineSandbox(embedded('old', 10));
    sandbox.write('input/a.jsonl', lines({ id: 'x', n: 11 }));
    const endpoint = 'http://127.0.0.1:9';
    const { version } = await sandbox.run({ endpoint });
    sandbox.write('pipeline.json', JSON.stringify(embedded('new', 100)));
    await expect(sandbox.run({ endpoint, redrive: version })).rejects.toThrow(
      'its vectors are of old, and would be of new',
    );
  });

  it('publishes what came through where rules are looser and the last output takes more', async () => {
    const { version } = await published(definition([ONE_ID, small(10)]));
    const output = { ...INPUT, properties: { ...INPUT.properties, note: { type: 'string' } } };
    const { manifest } = await redriven(version, definition([ONE_ID, small(55)], { output }));
    expect(manifest.counts).toEqual({ read: 4, published: 3, quarantined: 1, faulty: 1 });
  });

  it('counts each record once in each stage, however often it is redriven', async () => {
    const more = [{ ...ENRICH, rules: [{ name: 'even', expression: 'n % 2 == 0' }] }];
    // The second of id 1 is a duplicate, and odd besides.
    const records =
      RECORDS + lines({ id: '4', sku: 'e', n: 2 }, { id: '1', sku: 'f', n: 2 }, { id: '1', n: 3 }) + '{\n';
    let { version, manifest } = await published(definition([ONE_ID, small(10)], { more }), records);
    const accounts = () => manifest.stages.map((stage) => [stage.in, stage.out, stage.quarantined]);
    const first = accounts();
    expect(first).toEqual([
      [7, 3, 4],
      [4, 1, 3],
    ]);
    for (const max of [11, 12, 55]) {
      ({ version, manifest } = await redriven(version, definition([ONE_ID, small(max)], { more })));
      expect(manifest.counts.read).toBe(8);
      expect(accounts()[0]![0]).toBe(7);
      if (max < 55) expect(accounts()).toEqual(first);
    }
    expect(accounts()).toEqual([
      [7, 4, 3],
      [5, 2, 3],
    ]);
  });

  it('counts the pieces of a document once that came anew as a whole', async () => {
    const chunks = (tokens: number) => ({
      name: 'pages',
      source: { format: 'document' },
      stages: [
        { name: 'parse', work: { parse: {} } },
        { name: 'chunk', work: { chunk: { mostTokens: 16, overlapTokens: 0 } } },
        { name: 'check', work: { check: {} }, rules: [{ name: 'short', expression: `tokens < ${tokens}` }] },
      ],
      mostFaultRate: 1,
    });
    sandbox = new PipelineSandbox(chunks(10));
    sandbox.write(
      'input/a.md',
      '# A\n\nshort\n\n# B\n\nthis piece is rather longer than the others are\n\n# C\n\nso is this, by some words more than that\n',
    );
    sandbox.write('input/b.md', '# A\n\nother\n');
    const { version, manifest } = await sandbox.run();
    const accounts = [2, 2, 4].map((count, i) => [count, manifest.stages[i]!.out]);
    expect(manifest.stages.map((stage) => [stage.in, stage.out])).toEqual(accounts);
    expect(accounts).toEqual([
      [2, 2],
      [2, 4],
      [4, 2],
    ]);
    const { manifest: next } = await redriven(version, chunks(100));
    expect(next.stages.map((stage) => [stage.in, stage.out, stage.quarantined])).toEqual([
      [2, 2, 0],
      [2, 4, 0],
      [4, 4, 0],
    ]);
  });

  it('publishes nothing where nothing came through, and says so, as often as it is asked', async () => {
    const { version } = await published(definition([ONE_ID, small(10)]));
    let printed = '';
    const output: CommandOutput = { print: (text) => (printed += text), progress: { write: () => true } };
    const read = async () => {
      printed = '';
      await readCommand(sandbox.options(), output);
      return printed;
    };
    const before = await read();
    sandbox.write('pipeline.json', JSON.stringify(definition([ONE_ID, small(11)])));
    for (const redrive of [version, version]) {
      printed = '';
      expect(await runCommand(sandbox.options({ redrive }), output)).toBe(false);
      expect(printed).toContain(`held back: nothing came through that version ${version} lacks`);
    }
    // Of what was held for that, too.
    const held = /version +(\w{32}) {2}held/.exec(printed)![1]!;
    expect((await redriven(held, definition([ONE_ID, small(12)]))).held).toBe(
      `nothing came through that version ${version} lacks`,
    );
    expect(await read()).toBe(before);
    expect((await redriven(held, definition([ONE_ID, small(55)]))).publication?.outcome).toBe('published');
  });
});

describe('runs of the same at the same time', () => {
  let sandbox: PipelineSandbox;
  afterEach(() => sandbox.remove());

  it('end well: one publishes, and the others say that it is published already', async () => {
    sandbox = new PipelineSandbox(definition([ONE_ID, small(10)]));
    for (let i = 0; i < 30; i++) sandbox.write(`input/${i}.jsonl`, RECORDS.replaceAll('"id":"', `"id":"${i}-`));
    for (const _ of [1, 2, 3]) {
      const results = await Promise.all([1, 2, 3].map(() => sandbox.run({ shardLimits: { bytes: 200, files: 2 } })));
      expect(results.map(({ held }) => held)).toEqual([undefined, undefined, undefined]);
      expect(new Set(results.map(({ version }) => version)).size).toBe(1);
      const outcomes = results.map(({ publication }) => publication!.outcome).sort();
      expect(outcomes.filter((outcome) => outcome === 'published').length).toBeLessThanOrEqual(1);
      expect(new Set(outcomes.filter((outcome) => outcome !== 'published'))).toEqual(new Set(['unchanged']));
      sandbox.write('input/0.jsonl', lines({ id: String(Math.random()), n: 1 }));
    }
  });
});
