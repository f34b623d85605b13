/**
 * What each built handler costs a cold start: its size, and the time of its import on Node 24, Lambda's own major
 * version, in a fresh process. Medians of interleaved rounds.
 *
 *     npm run build && node bench/handlers/run.mjs [ROUNDS]
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { median } from '../median.mjs';
import { lambdaNode } from '../lambda-node.mjs';

const rounds = Number(process.argv[2] ?? 15);
const handlers = path.resolve(import.meta.dirname, '../../dist/handlers');
const names = readdirSync(handlers);
const node = lambdaNode();
const folder = mkdtempSync(path.join(tmpdir(), 'bench-handlers-'));
const policyFile = path.join(folder, 'policy.json');
writeFileSync(policyFile, JSON.stringify({ plans: [], tenants: [], backends: [], models: [] }));
const ENVIRONMENT = {
  AWS_REGION: 'eu-west-1',
  TABLE_NAME: 'keys',
  STORE_URL: 'redis://127.0.0.1:1',
  POLICY_FILE: policyFile,
  FLEETS: '[]',
  METRICS_NAMESPACE: 'Bench',
  BATCH_BUCKET: 'work',
  BATCH_TABLE: 'progress',
  WORK_QUEUE_URL: 'http://127.0.0.1:1/items',
  CONTROL_QUEUE_URL: 'http://127.0.0.1:1/control',
  DEAD_LETTER_QUEUE_URL: 'http://127.0.0.1:1/dead',
};

const times = Object.fromEntries(names.map((name) => [name, []]));
for (let round = 0; round < rounds; round++) {
  for (const name of names) times[name].push(importTime(path.join(handlers, name, 'index.mjs')));
}
rmSync(folder, { recursive: true });
for (const name of names) {
  const kilobytes = (statSync(path.join(handlers, name, 'index.mjs')).size / 1000).toFixed(0);
  const milliseconds = median(times[name]).toFixed(0);
  console.log(
    `${name.padEnd(22)} ${kilobytes.padStart(4)} kB (at most 300)  ${milliseconds.padStart(4)} ms (at most 80)`,
  );
}
console.log(`import in a fresh process, medians of ${rounds} rounds`);

function importTime(file) {
  const script = `
    globalThis.awslambda = { streamifyResponse: (handler) => handler };
    const started = performance.now();
    await import('${pathToFileURL(file).href}');
    console.log(performance.now() - started);
    process.exit();`;
  const { stdout, stderr, status } = spawnSync(node, ['--input-type=module', '-e', script], {
    encoding: 'utf8',
    env: ENVIRONMENT,
  });
  if (status !== 0) throw new Error(`${file}: ${stderr.slice(-2000)}`);
  return Number(stdout.trim().split('\n').at(-1));
}
