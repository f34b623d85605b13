/**
 * What admission costs: one call of our store, which charges three limits, takes a parallel slot, looks up the stored
 * answer, begins a flight and reads a breaker, against five checks of `rate-limiter-flexible`, which are its way to as many limits. Both
 * on the same server, each from one process over 32 connections, as fast as answers come; medians of interleaved rounds.
 *
 *     node bench/admission/run.mjs [ROUNDS]
 */
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { build } from 'esbuild';
import { Redis } from 'ioredis';
import { median } from '../median.mjs';
import { installPeer } from '../peer.mjs';
import { startStore } from '../store-server.mjs';

const CONNECTIONS = 32;
const ROUND_MS = 2000;
/** Limits that are counted and never reached. */
const MANY = 1_000_000_000;

const rounds = Number(process.argv[2] ?? 9);
const here = import.meta.dirname;
const root = path.resolve(here, '../..');
const { require } = installPeer('rate-limiter-flexible', '11.4.0');
const { RateLimiterRedis } = require('rate-limiter-flexible');
const { chainOf, StoreConnection, ValkeyStore, resolvePlan, resolvePolicy } = await builtStore();
const server = await startStore();

const contenders = {
  'admit of this gateway': ours(),
  'five checks, one after the other': checks(async (limiters, key) => {
    for (const limiter of limiters) await limiter.consume(key);
  }),
  'five checks, sent together': checks((limiters, key) => Promise.all(limiters.map((limiter) => limiter.consume(key)))),
};

const rates = Object.fromEntries(Object.keys(contenders).map((name) => [name, []]));
try {
  for (let round = -1; round < rounds; round++) {
    for (const [name, { calls }] of Object.entries(contenders)) {
      const perSecond = await callsPerSecond(calls);
      // The first round is for the compiler alone.
      if (round >= 0) rates[name].push(perSecond);
    }
  }
} finally {
  for (const { close } of Object.values(contenders)) close();
  server.close();
}
const [admit, serial, together] = Object.values(rates);
for (const [name, all] of Object.entries(rates))
  console.log(`${name.padEnd(34)} ${median(all).toFixed(0).padStart(7)} /s`);
const ratio = (others) => median(admit.map((rate, round) => rate / others[round])).toFixed(2);
console.log(
  `admit / five checks: ${ratio(serial)} one after the other, ${ratio(together)} sent together  (at least 1.50)`,
);

/** Closed loops, one on each connection. */
async function callsPerSecond(calls) {
  let count = 0;
  const started = performance.now();
  await Promise.all(
    calls.map(async (call) => {
      while (performance.now() - started < ROUND_MS) {
        await call();
        count += 1;
      }
    }),
  );
  return (count * 1000) / (performance.now() - started);
}

function ours() {
  const connections = Array.from(
    { length: CONNECTIONS },
    () => new StoreConnection({ url: server.url, timeoutMs: 5000, connectTimeoutMs: 5000, onError: console.error }),
  );
  const plan = resolvePlan({
    name: 'standard',
    requestsPerMinute: MANY,
    tokensPerMinute: MANY * 1000,
    tokensPerDay: MANY * 1000,
    parallelRequests: 10_000,
  });
  const { backends, models } = resolvePolicy({
    plans: [plan],
    tenants: [{ name: 'acme', plan: plan.name }],
    backends: [{ name: 'gpu', url: 'http://gpu' }],
    models: [{ name: 'llama', backends: ['gpu'] }],
  });
  const [model] = models;
  const chain = chainOf(model, backends);
  const uses = { softMs: 0, staleAllowed: false, waits: true, leads: true, retainMs: 60_000, onlyIfCached: false };
  let asked = 0;
  const calls = connections.map((connection) => {
    const store = new ValkeyStore((commands) => connection.trip(commands), Math.random);
    return async () => {
      const id = `request-${++asked}`;
      const cache = { key: `{acme}:cache:${id}`, freshMs: 60_000, ...uses };
      // Nothing is settled here; the slots free themselves when their leases end.
      const admission = await store.admit({
        id,
        tenant: 'acme',
        plan,
        model,
        inputTokens: 100,
        outputTokens: 200,
        leaseMs: 100,
        cache,
        chain,
      });
      if (admission.verdict !== 'admitted') throw new Error(`a request was not admitted: ${admission.verdict}`);
    };
  });
  return { calls, close: () => connections.forEach((connection) => connection.close()) };
}

function checks(check) {
  const clients = Array.from({ length: CONNECTIONS }, () => new Redis(server.url));
  const calls = clients.map((storeClient) => {
    const limiters = ['requests', 'tokens', 'tokensPerDay', 'parallel', 'tenant'].map(
      (keyPrefix) => new RateLimiterRedis({ storeClient, keyPrefix, points: MANY, duration: 60 }),
    );
    return () => check(limiters, 'acme');
  });
  return { calls, close: () => clients.forEach((client) => client.disconnect()) };
}

/** The store's own code, out of its sources. */
async function builtStore() {
  const outfile = path.join(root, 'dist/bench/store.mjs');
  const { errors } = await build({
    stdin: {
      contents: `
        export { StoreConnection } from './lambda/store/connection';
        export { ValkeyStore } from './lambda/store/valkey-store';
        export { chainOf } from './lambda/load-balancing/chain';
        export { resolvePlan, resolvePolicy } from './lib/policy/defaults';`,
      resolveDir: root,
    },
    outfile,
    bundle: true,
    platform: 'node',
    format: 'esm',
    loader: { '.lua': 'text' },
    banner: { js: "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);" },
    logLevel: 'error',
  });
  if (errors.length > 0) throw new Error('the store cannot be built');
  return import(pathToFileURL(outfile).href);
}
