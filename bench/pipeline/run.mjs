#!/usr/bin/env node
/**
 * A tenth of the records, all and three times as many through `pipeline run`, in constant memory, against a bare read-parse-write loop on the same file.
 *
 *   node bench/pipeline/run.mjs [--records 1000000] [--rounds 3] [--heap MB]
 *
 * With --heap the pipeline gets so much for its objects: what it holds, without the garbage that V8 leaves lying while there is room
 */
import { spawnSync } from 'node:child_process';
import { closeSync, mkdtempSync, mkdirSync, openSync, rmSync, statSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';

const { values } = parseArgs({
  options: {
    records: { type: 'string', default: '1000000' },
    rounds: { type: 'string', default: '3' },
    heap: { type: 'string' },
  },
});
const records = Number(values.records);
const rounds = Number(values.rounds);
const here = import.meta.dirname;
const root = resolve(here, '../..');
const work = mkdtempSync(join(tmpdir(), 'pipeline-bench-'));
const COUNTRIES = ['CH', 'DE', 'FR', 'IT', 'AT'];

/** One in a thousand is a duplicate and one in a thousand a total that is wrong, so that every part of a run has work. */
function order(i) {
  const price = 1 + ((i * 7919) % 9000) / 8;
  const quantity = 1 + (i % 17);
  const at = new Date(1_700_000_000_000 + i * 1000).toISOString();
  const id = i % 1000 === 999 ? i - 500 : i;
  const total = i % 1000 === 500 ? -1 : price * quantity;
  return {
    id: `o-${id}`,
    at,
    country: COUNTRIES[i % 5],
    price,
    quantity,
    total,
    note: i % 3 ? 'leave at the door, please' : null,
  };
}

function generate(count, directory) {
  mkdirSync(directory, { recursive: true });
  const file = join(directory, 'orders.jsonl');
  const handle = openSync(file, 'w');
  for (let i = 0; i < count; i += 10_000) {
    const lines = [];
    for (let j = i; j < Math.min(count, i + 10_000); j++) lines.push(`${JSON.stringify(order(j))}\n`);
    writeSync(handle, lines.join(''));
  }
  closeSync(handle);
  return file;
}

function timed(args) {
  const started = performance.now();
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    ['--require', join(here, 'heap-report.cjs'), ...args],
    {
      encoding: 'utf8',
      cwd: root,
    },
  );
  if (status !== 0) throw new Error(`${args.join(' ')} failed:\n${stdout}\n${stderr}`);
  return {
    seconds: (performance.now() - started) / 1000,
    mebibytes: Number(/maxRSS (\d+) MiB/.exec(stderr)[1]),
    stdout,
  };
}

const median = (list) => [...list].sort((a, b) => a - b)[Math.floor(list.length / 2)];

try {
  for (const count of [Math.round(records / 10), records, records * 3]) {
    const input = join(work, `input-${count}`);
    const file = generate(count, input);
    const pipeline = [];
    const bare = [];
    for (let round = 0; round < rounds; round++) {
      bare.push(timed([join(here, 'bare-loop.mjs'), file, join(work, 'bare.jsonl')]));
      const output = join(work, `out-${round}`);
      pipeline.push(
        timed([
          ...(values.heap === undefined ? [] : [`--max-old-space-size=${values.heap}`]),
          'dist/bin/cli.js',
          'pipeline',
          'run',
          '--config',
          join(here, 'orders.json'),
          '--input',
          input,
          '--output',
          output,
        ]),
      );
      if (round === 0) console.log(pipeline[0].stdout);
      rmSync(output, { recursive: true });
    }
    const seconds = median(pipeline.map((run) => run.seconds));
    const bareSeconds = median(bare.map((run) => run.seconds));
    const size = (statSync(file).size / 1e6).toFixed(0);
    console.log(`${count} records, ${size} MB:`);
    console.log(
      `  pipeline run   ${seconds.toFixed(1)} s, ${Math.round(count / seconds)} records a second, at most ${Math.max(...pipeline.map((run) => run.mebibytes))} MiB`,
    );
    console.log(
      `  bare loop      ${bareSeconds.toFixed(1)} s, ${Math.round(count / bareSeconds)} records a second, at most ${Math.max(...bare.map((run) => run.mebibytes))} MiB`,
    );
    console.log(`  ratio          ${(seconds / bareSeconds).toFixed(1)}`);
    rmSync(input, { recursive: true });
  }
} finally {
  rmSync(work, { recursive: true, force: true });
}
