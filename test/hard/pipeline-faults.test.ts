import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { FileStore } from '../../bin/pipeline/file-store';
import { linesOfObject } from '../../lambda/data-pipeline/running/line-object';
import type { QuarantineEntry } from '../../lambda/data-pipeline/running/shard-output';
import type { DataRecord } from '../../lambda/data-pipeline/reading/source-record';
import { CliProcess } from '../end-to-end/processes';
import { AS_OF, corpus, type CorpusLine, FAULT_NAMES, PipelineSandbox } from './pipeline-corpus';
import { report } from './report';
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Manifest } from '../../lambda/data-pipeline/versions/manifest';

/** PIPELINE_CORPUS=200000 is the full size. */
const LINES = Number(process.env.PIPELINE_CORPUS ?? 6000);
const SEEDS = (process.env.PIPELINE_SEEDS ?? '1,2').split(',').map(Number);
const FILES = 3;

jest.setTimeout(600_000);

describe('a corpus of faults', () => {
  let sandbox: PipelineSandbox;
  beforeEach(() => {
    sandbox = new PipelineSandbox();
  });
  afterEach(() => sandbox.remove());

  it.each(SEEDS)(
    'is found out whole, nothing good is set aside and nothing bad is published (seed %d)',
    async (seed) => {
      const lines = corpus(seed, LINES, 0.1);
      const perFile = Math.ceil(lines.length / FILES);
      const places = new Map<string, CorpusLine>();
      for (let file = 0; file < FILES; file++) {
        const own = lines.slice(file * perFile, (file + 1) * perFile);
        let offset = 0;
        for (const line of own) {
          places.set(`part-${file}.jsonl:${offset}`, line);
          offset += line.content.length + 1;
        }
        sandbox.write(
          `input/part-${file}.jsonl`,
          Buffer.concat(own.flatMap(({ content }) => [content, Buffer.from('\n')])),
        );
      }
      const run = new CliProcess([
        'pipeline',
        'run',
        ...sandbox.args(),
        '--as-of',
        AS_OF,
        '--function',
        `enrich=${sandbox.path('enrich.mjs')}`,
      ]);
      expect([await run.exitCode(), run.errors]).toEqual([0, '']);
      const store = new FileStore(sandbox.path('out/orders'));
      const manifest = onlyManifest(sandbox);
      const quarantined = new Map<string, QuarantineEntry>();
      const published: { record: DataRecord; place: string }[] = [];
      for (const shard of manifest.shards) {
        for (const line of await linesOfObject(store, shard.quarantine)) {
          const entry = JSON.parse(line) as QuarantineEntry;
          quarantined.set(`${entry.file}:${entry.offset}`, entry);
        }
        const origins = await linesOfObject(store, shard.origins);
        (await linesOfObject(store, shard.part)).forEach((line, i) => {
          const [file, offset] = JSON.parse(origins[i]!) as [string, number];
          published.push({ record: JSON.parse(line) as DataRecord, place: `${file}:${offset}` });
        });
      }
      const bad = [...places].filter(([, { fault }]) => fault !== undefined);
      const good = [...places].filter(([, { fault }]) => fault === undefined);
      const missed = bad.filter(([place]) => !quarantined.has(place)).map(([, { fault }]) => fault);
      const wronged = good.filter(([place]) => quarantined.has(place)).map(([place]) => quarantined.get(place));
      const leaked = published.filter(({ place }) => places.get(place)!.fault !== undefined);
      report('fault corpus', {
        seed,
        records: places.size,
        bad: bad.length,
        kinds: FAULT_NAMES.length,
        detectionRate: 1 - missed.length / bad.length,
        falseQuarantineRate: wronged.length / good.length,
        badPublished: leaked.length,
      });
      expect({ missed, wronged, leaked }).toEqual({ missed: [], wronged: [], leaked: [] });
      expect(published).toHaveLength(good.length);
      expect(manifest.counts).toEqual({
        read: places.size,
        published: good.length,
        quarantined: bad.length,
        faulty: bad.length,
      });
      // What was published is what came in, and the function's own field.
      for (const { record, place } of published.slice(0, 500)) {
        const { big, ...rest } = record;
        expect(rest).toEqual(JSON.parse(places.get(place)!.content.toString()));
        expect(typeof big).toBe('boolean');
      }
      expect(new Set(bad.map(([, { fault }]) => fault)).size).toBe(FAULT_NAMES.length);
    },
  );

  it('is not published where more is at fault than may be', async () => {
    sandbox = new PipelineSandbox({ ...sandbox.definition, mostFaultRate: 0.05 });
    const lines = corpus(3, 400, 0.2);
    sandbox.write('input/a.jsonl', Buffer.concat(lines.flatMap(({ content }) => [content, Buffer.from('\n')])));
    const run = new CliProcess([
      'pipeline',
      'run',
      ...sandbox.args(),
      '--as-of',
      AS_OF,
      '--function',
      `enrich=${sandbox.path('enrich.mjs')}`,
    ]);
    expect(await run.exitCode()).toBe(2);
    expect(run.output).toMatch(/held back: \d+ of 400 records are at fault, .* where mostFaultRate is 5\.0 %/);
    expect(readdirSync(sandbox.path('out/orders'))).not.toContain('pointers');
  });
});

function onlyManifest(sandbox: PipelineSandbox): Manifest {
  const directory = sandbox.path('out/orders/versions');
  const [name, ...others] = readdirSync(directory);
  expect(others).toEqual([]);
  return JSON.parse(readFileSync(join(directory, name!), 'utf8')) as Manifest;
}
