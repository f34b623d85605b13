/**
 * What the gateway costs with everything on (limits, breaker, cache look-up and its write, metrics record), on a real
 * store over the loopback, next to Portkey's gateway, plain, and to a bare `node:http` pass-through: throughput at 32
 * connections, time added at one connection, processor time of one request. All in front of the same stub of a model,
 * each in a process of its own; medians of interleaved rounds, and of the rounds' ratios.
 *
 *     npm run build && node bench/gateway/run.mjs [ROUNDS]
 */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { median } from '../median.mjs';
import { installPeer } from '../peer.mjs';
import { freePort, startStore } from '../store-server.mjs';

const rounds = Number(process.argv[2] ?? 7);
const here = import.meta.dirname;
const folder = mkdtempSync(path.join(tmpdir(), 'bench-gateway-'));
const children = [];
const node = process.execPath;

const peer = installPeer('@portkey-ai/gateway', '1.15.2');
const store = await startStore();
const stub = await start('model-stub.mjs');
const modelUrl = `http://127.0.0.1:${stub.port}`;
const load = await start('load.mjs');

const ours = await start('front.mjs', { env: oursEnvironment(), preload: true, countsLines: true });
const bare = await start('bare-proxy.mjs', { env: { MODEL_URL: modelUrl }, preload: true });
const portkeyPort = await freePort();
const portkey = await start(path.join(peer.folder, 'build/start-server.js'), {
  args: [`--port=${portkeyPort}`, '--headless'],
  env: { NODE_ENV: 'production' },
  port: portkeyPort,
  preload: true,
  isSilent: true,
});
const portkeyHeaders = {
  authorization: 'Bearer sk-none',
  'x-portkey-provider': 'openai',
  'x-portkey-custom-host': `${modelUrl}/v1`,
};
const targets = {
  stub: { ...stub },
  bare: { ...bare },
  ours: { ...ours },
  portkey: { ...portkey, headers: portkeyHeaders },
};

try {
  await run();
} finally {
  for (const child of children) child.kill('SIGKILL');
  store.close();
  rmSync(folder, { recursive: true });
}

async function run() {
  // Until the compiler has seen everything: no number of these is kept.
  for (const name of Object.keys(targets)) await measure(name, 32, 3000);
  const results = Object.fromEntries(Object.keys(targets).map((name) => [name, []]));
  for (let round = 0; round < rounds; round++) {
    for (const name of Object.keys(targets)) {
      const busy = await measure(name, 32, 3000);
      const single = await measure(name, 1, 1500);
      results[name].push({ perSecond: busy.perSecond, processor: busy.processor, p50: single.p50, p99: single.p99 });
    }
  }
  report(results);
}

function report(results) {
  const rows = Object.fromEntries(
    Object.entries(results).map(([name, all]) => [
      name,
      {
        'requests/s at 32': Math.round(median(all.map(({ perSecond }) => perSecond))),
        'p50 at 1, µs': Math.round(median(all.map(({ p50 }) => p50)) * 1000),
        'added p50, µs': Math.round(median(all.map(({ p50 }, round) => p50 - results.stub[round].p50)) * 1000),
        'processor µs/request': Math.round(median(all.map(({ processor }) => processor))),
      },
    ]),
  );
  console.table(rows);
  const ratio = (of) => median(Array.from({ length: rounds }, (_, round) => of(round))).toFixed(2);
  const added = (name, round) => results[name][round].p50 - results.stub[round].p50;
  const lines = [
    [
      'throughput at 32 connections, ours / Portkey',
      (r) => results.ours[r].perSecond / results.portkey[r].perSecond,
      'at least 6',
    ],
    ['added p50 at 1 connection, ours / Portkey', (r) => added('ours', r) / added('portkey', r), 'at most 0.4'],
    [
      'processor time of a request, ours / bare',
      (r) => results.ours[r].processor / results.bare[r].processor,
      'at most 2.5',
    ],
  ];
  for (const [what, of, goal] of lines) console.log(`${what} = ${ratio(of)}  (${goal})`);
  console.log(
    `medians of ${rounds} rounds, Node ${process.version}; records written: ${ours.lines()} of ${ours.asked} requests`,
  );
}

/** Loads one target, and asks it for the processor time that this took. */
async function measure(name, connections, milliseconds) {
  const { port, headers, child, isMetered } = targets[name];
  const before = isMetered ? await processorTime(child) : 0;
  const result = await answerOf(load.child, { port, headers, connections, milliseconds });
  const after = isMetered ? await processorTime(child) : 0;
  if (name === 'ours') ours.asked += result.requests;
  return { ...result, processor: (after - before) / result.requests };
}

async function processorTime(child) {
  return (await answerOf(child, 'processor time')).processorMicroseconds;
}

async function answerOf(child, message) {
  const stop = new AbortController();
  const died = once(child, 'exit', stop).then(() => Promise.reject(new Error(`${child.spawnargs.join(' ')} ended`)));
  child.send(message);
  const [result] = await Promise.race([once(child, 'message', stop), died]);
  died.catch(() => undefined);
  stop.abort();
  return result;
}

/** Starts a program in a process of its own and waits until it listens. */
async function start(
  program,
  { args = [], env = {}, port, preload = false, countsLines = false, isSilent = false } = {},
) {
  const chosen = port ?? (await freePort());
  const meter = pathToFileURL(path.join(here, 'processor-time.mjs')).href;
  const child = fork(path.resolve(here, program), args, {
    env: { PATH: process.env.PATH, PORT: String(chosen), ...env },
    execPath: node,
    execArgv: preload ? ['--import', meter] : [],
    stdio: ['ignore', countsLines ? 'pipe' : isSilent ? 'ignore' : 'inherit', 'inherit', 'ipc'],
  });
  children.push(child);
  let lines = 0;
  child.stdout?.on('data', (bytes) => {
    for (let at = bytes.indexOf(10); at >= 0; at = bytes.indexOf(10, at + 1)) lines += 1;
  });
  if (port === undefined) await once(child, 'message');
  else await untilListening(chosen);
  return { port: chosen, child, isMetered: preload, lines: () => lines, asked: 0 };
}

async function untilListening(port) {
  for (let attempt = 0; attempt < 100; attempt++) {
    const response = await fetch(`http://127.0.0.1:${port}/`).catch(() => undefined);
    if (response) return;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error(`nothing listens on port ${port}`);
}

/** Limits that are counted and never reached, a breaker, and a cache in which every question is new. */
function oursEnvironment() {
  const policy = {
    plans: [
      {
        name: 'standard',
        requestsPerMinute: 100_000_000,
        tokensPerMinute: 100_000_000_000,
        tokensPerDay: 100_000_000_000_000,
        parallelRequests: 1000,
        maxTokensPerRequest: 8192,
      },
    ],
    tenants: [{ name: 'acme', plan: 'standard' }],
    backends: [{ name: 'stub', url: modelUrl }],
    models: [{ name: 'llama', backends: ['stub'] }],
    cache: { ttlSeconds: 60, staleSeconds: 0 },
  };
  const policyFile = path.join(folder, 'policy.json');
  writeFileSync(policyFile, JSON.stringify(policy));
  return {
    HANDLER: pathToFileURL(path.resolve(here, '../../dist/handlers/inference/index.mjs')).href,
    POLICY_FILE: policyFile,
    STORE_URL: store.url,
    AWS_REGION: 'eu-west-1',
  };
}
