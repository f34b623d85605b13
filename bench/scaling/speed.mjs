/**
 * How long the simulator takes over a million requests, on one core, and how long the bare event loop over as many
 * events: the queue alone, with as many events waiting. Goal: under 60 s, and the same result for the same seed.
 *
 *     node bench/scaling/speed.mjs
 */
import { createHash } from 'node:crypto';
import { loadSimulator } from '../simulator.mjs';
import { median } from '../median.mjs';

const REQUESTS = 1_000_000;
const RATE = 12;
const ROUNDS = 3;
const sim = await loadSimulator();
const profile = sim.PROFILES[sim.DEFAULT_PROFILE];

const envelope = { source: 'constant rate', rates: Float64Array.of(RATE), windowSeconds: (1.01 * REQUESTS) / RATE };
const random = sim.seededRandom(1, 1);
const lengths = {
  inputTokens: Int32Array.from({ length: 20_000 }, () => 1 + Math.floor(2300 * random())),
  outputTokens: Int32Array.from({ length: 20_000 }, () => 1 + Math.floor(420 * random())),
};
const all = sim.requestsFrom(envelope, lengths, random);
const trace = { ...all, arrivals: all.arrivals.slice(0, REQUESTS) };
if (trace.arrivals.length !== REQUESTS) throw new Error('the load has too few requests');

function replay() {
  const plan = sim.fleetPlan('fleet', {
    profiles: [profile],
    minCapacity: 3,
    maxCapacity: 60,
    initialCapacity: 12,
    bootSeconds: 354,
    zones: 3,
    balancing: 'least-outstanding-requests',
    signal: 'fleet-load',
  });
  const link = { name: 'fleet', share: 0, firstTokenSeconds: 10, retries: { max: 1, budgetRatio: 0.1 } };
  return sim.simulate({
    trace,
    seed: 1,
    sampleSeconds: 60,
    expectedOutputTokens: 256,
    backends: [{ ...link, serves: plan }],
  });
}

/** Takes an event and adds one, as often as the replay did, with a dozen instances' events waiting. */
function bareLoop(events) {
  const queue = new sim.EventQueue();
  const draw = sim.seededRandom(1, 2);
  for (let event = 0; event < 12; event++) queue.add(draw(), 1, event);
  for (let event = 0; event < events; event++) {
    queue.take();
    queue.add(queue.time + draw(), 1, queue.subject);
  }
}

function timed(run) {
  const began = performance.now();
  const result = run();
  return { seconds: (performance.now() - began) / 1000, result };
}

const digestOf = ({ requests }) =>
  createHash('sha256').update(requests.firstTokenAt).update(requests.endedAt).digest('hex').slice(0, 16);

const replays = [];
const loops = [];
const digests = new Set();
let events = 0;
for (let round = 0; round < ROUNDS; round++) {
  const { seconds, result } = timed(replay);
  replays.push(seconds);
  digests.add(digestOf(result));
  ({ events } = result);
  loops.push(timed(() => bareLoop(events)).seconds);
}
console.log(`${REQUESTS} requests, ${events} events: ${median(replays).toFixed(1)} s (goal: under 60)`);
console.log(
  `the bare event loop over as many: ${median(loops).toFixed(1)} s, ratio ${(median(replays) / median(loops)).toFixed(1)}`,
);
console.log(`result of ${ROUNDS} runs: ${[...digests].join(', ')} (goal: one)`);
process.exit(digests.size === 1 && median(replays) < 60 ? 0 : 1);
