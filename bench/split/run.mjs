/**
 * What splitting a batch costs: the built control function cuts a file into items, with S3, SQS and DynamoDB stood in by
 * a process that speaks their protocols. Peak memory of 1,000,000 lines against 10,000, and lines a second.
 *
 *     npm run build && node bench/split/run.mjs [LINES]
 */
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { text } from 'node:stream/consumers';
import { once } from 'node:events';
import { pathToFileURL } from 'node:url';
import { lambdaNode } from '../lambda-node.mjs';

const MOST_RATIO = 1.2;

/**
 * As the function runs: left to itself, V8 lets its heap grow far beyond what it needs where there is memory, which a short
 * split never reaches and a long one does.
 */
const NODE_OPTIONS = '--max-semi-space-size=2 --max-old-space-size=256';
const few = 10_000;
const many = Number(process.argv[2] ?? 1_000_000);
const handler = path.resolve(import.meta.dirname, '../../dist/handlers/batch-control/index.mjs');
const node = lambdaNode();
const folder = mkdtempSync(path.join(tmpdir(), 'bench-split-'));
const policyFile = path.join(folder, 'policy.json');
writeFileSync(
  policyFile,
  JSON.stringify({
    plans: [{ name: 'standard', requestsPerMinute: 600, tokensPerMinute: 200_000 }],
    tenants: [{ name: 'acme', plan: 'standard' }],
    backends: [{ name: 'gpu' }],
    models: [{ name: 'llama', backends: ['gpu'] }],
    // The table of custom ids is as large as the longest batch that is allowed, for a short one too.
    batch: { maxRequests: Math.max(few, many) },
  }),
);

const small = await split(few);
const large = await split(many);
rmSync(folder, { recursive: true });
for (const { lines, megabytes, seconds } of [small, large]) {
  const rate = Math.round(lines / seconds).toLocaleString('en');
  const count = lines.toLocaleString('en').padStart(9);
  console.log(
    `${count} lines  ${seconds.toFixed(1).padStart(6)} s  ${rate.padStart(7)} lines/s  peak ${megabytes.toFixed(0)} MB`,
  );
}
const ratio = large.megabytes / small.megabytes;
console.log(`peak memory, ratio: ${ratio.toFixed(2)} (goal: at most ${MOST_RATIO})`);
process.exitCode = ratio <= MOST_RATIO ? 0 : 1;

async function split(lines) {
  const services = spawn(node, [path.join(import.meta.dirname, 'services.mjs'), String(lines)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [port] = await once(services.stdout, 'data');
  const origin = `http://127.0.0.1:${String(port).trim()}`;
  const { bytes } = await (await fetch(`${origin}/taken`)).json();
  await put(origin, bytes);
  const measured = await run(origin);
  const { taken } = await (await fetch(`${origin}/taken`)).json();
  services.kill();
  if (taken !== lines) throw new Error(`${taken} of ${lines} lines were sent`);
  return { lines, ...measured };
}

/** The record of a batch that has not been split. */
async function put(origin, bytes) {
  const now = Math.floor(Date.now() / 1000);
  const N = (number) => ({ N: String(number) });
  const S = (string) => ({ S: string });
  const split = { line: N(0), offset: N(0), sent: N(0), rejected: N(0), done: { BOOL: false }, at: N(now) };
  const Item = {
    ...{ pk: S('T#acme'), sk: S('BATCH#batch_x'), id: S('batch_x'), tenant: S('acme'), plan: S('standard') },
    ...{ version: N(1), endpoint: S('/v1/chat/completions'), status: S('validating') },
    input: { M: { key: S('files/acme/file-x'), bytes: N(bytes), etag: S('"lines"') } },
    ...{
      createdAt: N(now),
      deadline: N(now + 86_400),
      expiresAt: N(now + 99_999),
      split: { M: split },
      faults: { L: [] },
    },
  };
  await fetch(origin, { method: 'POST', headers: { 'x-amz-target': 'x.PutItem' }, body: JSON.stringify({ Item }) });
}

/** Has the function split the batch, in a process of its own. */
async function run(origin) {
  const message = { v: 1, kind: 'split', tenant: 'acme', batchId: 'batch_x' };
  const record = { body: JSON.stringify(message), receiptHandle: 'x', attributes: { ApproximateReceiveCount: '1' } };
  const script = `
    const { handler } = await import('${pathToFileURL(handler).href}');
    const started = performance.now();
    await handler(${JSON.stringify({ Records: [record] })}, { getRemainingTimeInMillis: () => 900000 });
    const seconds = (performance.now() - started) / 1000;
    process.stdout.write('\\n' + JSON.stringify({ seconds, megabytes: process.resourceUsage().maxRSS / 1024 }));
    process.exit();`;
  const child = spawn(node, ['--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: {
      ...{
        NODE_OPTIONS,
        AWS_REGION: 'eu-west-1',
        AWS_ACCESS_KEY_ID: 'x',
        AWS_SECRET_ACCESS_KEY: 'x',
        AWS_ENDPOINT_URL: origin,
      },
      ...{ POLICY_FILE: policyFile, BATCH_BUCKET: 'work', BATCH_TABLE: 'progress' },
      ...{ WORK_QUEUE_URL: `${origin}/items`, CONTROL_QUEUE_URL: `${origin}/control` },
    },
  });
  const told = await text(child.stdout);
  return JSON.parse(told.trim().split('\n').at(-1));
}
