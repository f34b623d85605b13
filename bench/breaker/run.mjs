/**
 * What a breaker adds to a call that succeeds: the decision and the record of `lambda/circuit-breaking/breaker.ts`, with
 * a full window of 100 calls, against `opossum` around the same call, without its own time-out. From both the time of
 * the bare call is taken off; medians of interleaved rounds.
 *
 *     node bench/breaker/run.mjs [ROUNDS]
 */
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { build } from 'esbuild';
import { median } from '../median.mjs';
import { installPeer } from '../peer.mjs';

const CALLS = 200_000;
const rounds = Number(process.argv[2] ?? 15);
const root = path.resolve(import.meta.dirname, '../..');
const outfile = path.join(root, 'dist/bench/breaker.mjs');
await build({
  entryPoints: [path.join(root, 'lambda/circuit-breaking/breaker.ts')],
  outfile,
  bundle: true,
  platform: 'node',
  format: 'esm',
  logLevel: 'error',
});
const { CLOSED, passage, record } = await import(pathToFileURL(outfile).href);
const CircuitBreaker = installPeer('opossum', '10.0.0').require('opossum');

const answer = { status: 200 };
const call = () => Promise.resolve(answer);

const rules = {
  window: { kind: 'count', size: 100 },
  minimumCalls: 20,
  failureRate: 0.5,
  slowFirstTokenMs: 5000,
  slowRate: 1,
  openMs: 30_000,
  maxOpenMs: 300_000,
  maxCooldownMs: 60_000,
  halfOpenProbes: 3,
};
let state = CLOSED;
const breaker = new CircuitBreaker(call, { timeout: false, errorThresholdPercentage: 50, volumeThreshold: 20 });

/** Each in the way in which a gateway's own code would use it. */
const contenders = {
  bare: async () => {
    for (let i = 0; i < CALLS; i++) await call();
  },
  ours: async () => {
    // As in the gateway, the decision is on the time of admission, which is known; the record reads the clock.
    const admittedAt = Date.now();
    for (let i = 0; i < CALLS; i++) {
      if (passage(state, admittedAt) !== 'free') throw new Error('the breaker is open');
      await call();
      state = record(state, rules, { id: 'request-1', outcome: 'success' }, Date.now());
    }
  },
  opossum: async () => {
    for (let i = 0; i < CALLS; i++) await breaker.fire();
  },
};

const times = Object.fromEntries(Object.keys(contenders).map((name) => [name, []]));
for (let round = -1; round < rounds; round++) {
  for (const [name, run] of Object.entries(contenders)) {
    const started = performance.now();
    await run();
    // The first round is for the compiler alone.
    if (round >= 0) times[name].push(((performance.now() - started) / CALLS) * 1e6);
  }
}
breaker.shutdown();
const added = (name) => times[name].map((time, round) => time - times.bare[round]);
for (const name of ['ours', 'opossum'])
  console.log(`${name.padEnd(8)} ${median(added(name)).toFixed(0).padStart(6)} ns added to a call`);
const opossum = added('opossum');
const ratio = median(added('ours').map((time, round) => time / opossum[round]));
console.log(`ours / opossum = ${ratio.toFixed(2)}  (at most 0.30)`);
