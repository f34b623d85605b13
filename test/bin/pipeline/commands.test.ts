import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { readdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  type CommandOutput,
  pinCommand,
  quarantineCommand,
  readCommand,
  redriveCommand,
  rollBackCommand,
  runCommand,
  traceCommand,
  versionsCommand,
} from '../../../bin/pipeline/commands';
import { PipelineSandbox } from '../../hard/pipeline-corpus';

const CHUNKS = {
  name: 'pages',
  source: { format: 'document' },
  stages: [
    {
      name: 'chunk',
      work: { chunk: { mostTokens: 16, overlapTokens: 0 } },
      rules: [{ name: 'short', expression: 'tokens < 10' }],
    },
  ],
  mostFaultRate: 0,
};

const ITEMS = {
  name: 'items',
  stages: [
    {
      name: 'check',
      work: { check: {} },
      input: {
        type: 'object',
        properties: { id: { type: 'string' }, n: { type: 'integer' } },
        required: ['id', 'n'],
        additionalProperties: false,
      },
      rules: [
        { name: 'small', range: { field: 'n', max: 10 } },
        { name: 'one-id-each', unique: ['id'] },
      ],
    },
  ],
  mostFaultRate: 0.5,
};

describe('the commands of a pipeline', () => {
  let sandbox: PipelineSandbox;
  let printed: string;
  const output: CommandOutput = { print: (text) => (printed += text), progress: { write: () => true } };
  beforeEach(() => {
    printed = '';
  });
  afterEach(() => sandbox.remove());

  const place = () => ({ config: sandbox.path('pipeline.json'), output: sandbox.path('out') });
  const definition = (value: object) => sandbox.write('pipeline.json', JSON.stringify(value));
  const relaxed = (most: number) => ({
    ...ITEMS,
    stages: [
      { ...ITEMS.stages[0], rules: [{ name: 'small', range: { field: 'n', max: most } }, ITEMS.stages[0]!.rules[1]] },
    ],
  });
  const text = async (run: () => Promise<unknown>) => {
    printed = '';
    await run();
    return printed;
  };
  const items = (...list: [string, unknown][]) => list.map(([id, n]) => `${JSON.stringify({ id, n })}\n`).join('');

  it('publish, set aside, run again what was mended, go back, and tell where a record comes from', async () => {
    sandbox = new PipelineSandbox(ITEMS);
    sandbox.write('input/a.jsonl', items(['a', 1], ['b', 20], ['c', 3]));
    sandbox.write('input/b.jsonl', items(['a', 4], ['d', 'x'], ['b', 5]));
    sandbox.write('input/c.jsonl', items(['e', 30], ['f', 2]));
    expect(await runCommand(sandbox.options(), output)).toBe(true);
    expect(printed).toMatch(
      /read +8 records[^]*published +4\n[^]*check\/input: 1\n[^]*check\/small: 2\n[^]*check\/one-id-each: 1\n/,
    );
    const [first = ''] = /version +(\w{32})/.exec(printed)!.slice(1);
    const came = items(['a', 1], ['c', 3], ['b', 5], ['f', 2]);
    expect(await text(() => readCommand(sandbox.options(), output))).toBe(came);
    expect(await text(() => quarantineCommand(undefined, place(), output))).toBe(
      [
        'a.jsonl:17  check/small  n is not at most 10',
        'b.jsonl:0  check/one-id-each  has the key of an earlier record of the version',
        'b.jsonl:17  check/input  n must be integer, is string',
        'c.jsonl:0  check/small  n is not at most 10',
        '',
      ].join('\n'),
    );

    definition(relaxed(100));
    expect(await redriveCommand(sandbox.options(), output)).toBe(true);
    const [second = ''] = /version +(\w{32}) {2}published/.exec(printed.slice(printed.lastIndexOf('read ')))!.slice(1);
    // The record that was mended has the key of one that is published by now: the earlier publication wins.
    expect(await text(() => readCommand(sandbox.options(), output))).toBe(came + items(['e', 30]));
    const again = await text(() => quarantineCommand(undefined, place(), output));
    expect(again.match(/check\/\S+/g)).toEqual(['check/one-id-each', 'check/one-id-each', 'check/input']);

    expect(await text(() => traceCommand('id', 'b', sandbox.options(), output))).toMatch(
      new RegExp(`^b\\.jsonl:36 {2}b\nversion ${second} .*\n {2}version ${first} `),
    );
    expect(await text(() => rollBackCommand(undefined, sandbox.options(), output))).toBe(`readers see ${first}\n`);
    expect(await text(() => versionsCommand(sandbox.options(), output))).toMatch(
      new RegExp(
        `1 {2}${first} {2}publish .*\n.*2 {2}${second} {2}publish .*\n.*3 {2}${first} {2}rollback .*<- readers\n$`,
      ),
    );
    expect(await text(() => pinCommand(second, sandbox.options(), output))).toContain(`compared with ${second}`);
    await expect(rollBackCommand('0'.repeat(32), sandbox.options(), output)).rejects.toThrow('cannot go back to');
  });

  it('publish what a redrive of a version that was held back brings, with each count once', async () => {
    sandbox = new PipelineSandbox({ ...ITEMS, mostFaultRate: 0 });
    sandbox.write('input/a.jsonl', items(['a', 1], ['b', 20], ['c', 3]));
    expect(await runCommand(sandbox.options(), output)).toBe(false);
    const [held = ''] = /version +(\w{32}) {2}held back: 1 of 3 records are at fault/.exec(printed)!.slice(1);
    await expect(readCommand(sandbox.options(), output)).rejects.toThrow('items has no published version yet');
    expect(
      await text(() => quarantineCommand(held, { ...sandbox.options(), input: sandbox.path('input') }, output)),
    ).toContain('"{\\"id\\":\\"b\\",\\"n\\":20}"');
    definition({ ...relaxed(100), mostFaultRate: 0 });
    expect(await text(() => redriveCommand(sandbox.options({ redrive: held }), output))).toMatch(
      /read +3 records[^]*published +3\n +quarantined +0,/,
    );
    expect((await text(() => readCommand(sandbox.options(), output))).split('\n').sort()).toEqual(
      items(['a', 1], ['b', 20], ['c', 3]).split('\n').sort(),
    );
    sandbox.write('input/a.jsonl', items(['z', 1]));
    await expect(redriveCommand(sandbox.options(), output)).rejects.toThrow('are not those of version');
  });

  it('do not undo a roll-back with the next run on the same input, but where they are asked to', async () => {
    sandbox = new PipelineSandbox(ITEMS);
    sandbox.write('input/a.jsonl', items(['a', 1]));
    await runCommand(sandbox.options(), output);
    sandbox.write('input/a.jsonl', items(['wrong', 2]));
    await runCommand(sandbox.options(), output);
    await rollBackCommand(undefined, sandbox.options(), output);
    printed = '';
    expect(await runCommand(sandbox.options(), output)).toBe(false);
    expect(printed).toMatch(
      /published +0\n[^]*version +\w{32} {2}not published: it was rolled back from; mend what made it, or run with --again\n/,
    );
    expect(await text(() => readCommand(sandbox.options(), output))).toBe(items(['a', 1]));
    expect(await runCommand(sandbox.options({ again: true }), output)).toBe(true);
    expect(await text(() => readCommand(sandbox.options(), output))).toBe(items(['wrong', 2]));
  });

  it('leave no record that nothing names, not even of a run that was held', async () => {
    sandbox = new PipelineSandbox({ ...ITEMS, mostFaultRate: 0.4, retention: { versions: 1, quarantineDays: 2 } });
    sandbox.write('input/a.jsonl', items(['held', 1], ['b', 20]));
    expect(await runCommand(sandbox.options(), output)).toBe(false);
    sandbox.write('input/a.jsonl', items(['double', 1], ['double', 2], ['c', 3]));
    expect(await runCommand(sandbox.options(), output)).toBe(true);
    const root = sandbox.path('out/items');
    const files = () =>
      readdirSync(root, { recursive: true, withFileTypes: true })
        .filter((entry) => entry.isFile())
        .map(({ parentPath, name }) => join(parentPath, name));
    const daysAgo = (days: number) => {
      for (const file of files()) utimesSync(file, new Date(), new Date(Date.now() - days * 86_400_000));
    };
    const holding = (value: string) => files().filter((file) => readFileSync(file, 'utf8').includes(value));
    daysAgo(1.5);
    expect(await runCommand(sandbox.options(), output)).toBe(true);
    expect(holding('"held"')).toHaveLength(1);
    daysAgo(3);
    sandbox.write('input/a.jsonl', items(['e', 1]));
    expect(await runCommand(sandbox.options(), output)).toBe(true);
    expect([holding('"held"'), holding('"double"')]).toEqual([[], []]);
  });

  it('replace a document as a whole where one of its pieces was at fault', async () => {
    sandbox = new PipelineSandbox(CHUNKS);
    sandbox.write('input/a.md', '# A\n\nshort\n\n# B\n\nthis piece is rather longer than the others are\n');
    sandbox.write('input/b.md', '# A\n\nother\n');
    expect(await runCommand(sandbox.options(), output)).toBe(false);
    const [held = ''] = /version +(\w{32})/.exec(printed)!.slice(1);
    definition({ ...CHUNKS, stages: [{ ...CHUNKS.stages[0], rules: undefined }] });
    expect(await redriveCommand(sandbox.options({ redrive: held }), output)).toBe(true);
    const records = (await text(() => readCommand(sandbox.options(), output)))
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { uri: string; heading: string });
    expect(records.map(({ uri, heading }) => `${uri} ${heading}`).sort()).toEqual(['a.md A', 'a.md B', 'b.md A']);
  });

  it('stop at the first fault where a stage says so, and publish nothing', async () => {
    const [check] = ITEMS.stages;
    sandbox = new PipelineSandbox({ ...ITEMS, stages: [{ ...check, onFault: 'stop' }] });
    for (const [content, reason] of [
      [items(['a', 1], ['b', 20]), 'stage "check", rule "small": a.jsonl at byte 17 n is not at most 10'],
      [
        items(['a', 1], ['a', 2]),
        'stage "check", rule "one-id-each": a.jsonl at byte 17 has the key of an earlier record',
      ],
      [items(['a', 1]) + '{', 'reading, rule "json": a.jsonl at byte 17 is not valid JSON'],
    ] as const) {
      sandbox.write('input/a.jsonl', content);
      await expect(runCommand(sandbox.options(), output)).rejects.toThrow(reason);
      await expect(readCommand(sandbox.options(), output)).rejects.toThrow('items has no published version yet');
    }
  });

  it('tell what was passed over, what could not be judged, and where a record stands whatever its file is called', async () => {
    sandbox = new PipelineSandbox({
      ...ITEMS,
      source: { format: 'jsonLines', timeField: 'at' },
      monitors: { mostAgeSeconds: 60 },
    });
    sandbox.write('input/notes.docx', 'x');
    sandbox.write('input/more/notes.pdf', 'x');
    const late = { asOf: undefined };
    expect(await runCommand(sandbox.options(late), output)).toBe(false);
    expect(printed).toContain('passed over   2 files; files read end in .jsonl, .ndjson\n');
    sandbox.write('input/a b\n.jsonl', items(['a', 1], ['b', 20]));
    expect(await text(() => runCommand(sandbox.options(late), output))).toMatch(
      /quarantined +1, from 1 of 2 source records \(50.0 %\)\n[^]* freshness not judged: give --as-of TIME\n/,
    );
    expect(await text(() => quarantineCommand(undefined, place(), output))).toBe(
      '"a b\\n.jsonl":17  check/small  n is not at most 10\n',
    );
    expect(await text(() => traceCommand('id', 'a', place(), output))).toMatch(/^"a b\\n\.jsonl":0 {2}a\n/);
    expect(await text(() => traceCommand('constructor', String(Object), place(), output))).toMatch(/^version/);
    expect(await text(() => runCommand(sandbox.options(), output))).not.toContain('freshness not judged');
  });

  it('say of a version whose manifest was changed that it cannot be read', async () => {
    sandbox = new PipelineSandbox(ITEMS);
    sandbox.write('input/a.jsonl', items(['a', 1]));
    await runCommand(sandbox.options(), output);
    const [version = ''] = /version +(\w{32})/.exec(printed)!.slice(1);
    sandbox.write(`out/items/versions/${version}.json`, '{}');
    expect(await text(() => versionsCommand(place(), output))).toContain('cannot be read: its manifest is not what');
    rmSync(sandbox.path(`out/items/versions/${version}.json`));
    expect(await text(() => versionsCommand(place(), output))).toContain('gone by retention');
  });

  it('say which file of the input has a name that is not UTF-8, where it would be read', async () => {
    sandbox = new PipelineSandbox(ITEMS);
    sandbox.write('input/a.jsonl', items(['a', 1]));
    const latin = (name: string) => Buffer.from(sandbox.path(`input/${name}`), 'latin1');
    writeFileSync(latin('caf\u00e9.png'), 'x');
    expect(await runCommand(sandbox.options(), output)).toBe(true);
    expect(printed).toContain('passed over   1 file;');
    writeFileSync(latin('caf\u00e9.jsonl'), items(['b', 1]));
    await expect(runCommand(sandbox.options(), output)).rejects.toThrow(
      /the name of caf\ufffd\.jsonl in .* is not UTF-8: rename it/,
    );
  });

  it('name the flag that a definition needs, and an empty golden set, before anything is read', async () => {
    const rules = [{ name: 'in-time', time: { field: 'at', mostAgeSeconds: 60 } }];
    const input = { type: 'object', properties: { at: { type: 'string' } } };
    sandbox = new PipelineSandbox({ ...ITEMS, stages: [{ name: 'check', work: { check: {} }, input, rules }] });
    await expect(runCommand(sandbox.options({ asOf: undefined }), output)).rejects.toThrow(
      'the rule "in-time" needs the time that the run is for: give --as-of TIME',
    );
    for (const asOf of ['2026-11-24 10:00:00', '2026-11-24', '1']) {
      await expect(runCommand(sandbox.options({ asOf }), output)).rejects.toThrow(`2026-11-24T00:00:00Z, got ${asOf}`);
    }
    const embed = { name: 'embed', work: { embed: { model: 'm', dimensions: 2 } } };
    definition({ ...CHUNKS, stages: [CHUNKS.stages[0], embed], retrieval: { goldenSet: 'golden.jsonl' } });
    sandbox.write('golden.jsonl', '');
    await expect(runCommand(sandbox.options(), output)).rejects.toThrow('the golden set golden.jsonl has no query');
    sandbox.write('golden.jsonl', '{"query":"a","uri":"b"}');
    await expect(runCommand(sandbox.options(), output)).rejects.toThrow(
      'the stage "embed" needs --endpoint URL, where the model m is served',
    );
  });

  it('say what is wrong with a definition, an input or a time', async () => {
    sandbox = new PipelineSandbox({ ...ITEMS, stages: [] });
    await expect(runCommand(sandbox.options(), output)).rejects.toThrow('stages: must be a list of at least 1, got []');
    definition(ITEMS);
    await expect(runCommand(sandbox.options(), output)).rejects.toThrow(/cannot read the input .*: ENOENT/);
    await expect(runCommand(sandbox.options({ asOf: 'now' }), output)).rejects.toThrow(
      '--as-of must be a time such as',
    );
    await expect(runCommand({ ...sandbox.options(), config: '/nowhere.json' }, output)).rejects.toThrow(
      'cannot read the pipeline /nowhere.json: ENOENT',
    );
  });
});
