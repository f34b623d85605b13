/**
 * How soon requests get their first token behind each balancer, at 80 % of what the instances carry: two hours of random
 * arrivals with Azure's lengths, on twelve equal instances and on six slower and six faster ones. Ratios to least
 * outstanding requests; below 1 is sooner.
 *
 *     node bench/balancing/run.mjs TRACE-FOLDER [SEEDS]
 */
import { median } from '../median.mjs';
import { demandByWindow } from '../scaling/lower-bound.mjs';
import { loadSimulator, traceFiles } from '../simulator.mjs';

const files = traceFiles(process.argv[2]);
const SEEDS = Number(process.argv[3] ?? 5);
const sim = await loadSimulator();

const SECONDS = 7200;
const LOAD = 0.8;
const INSTANCES = 12;
/** Requests at one time on a target with bounded concurrency: half of its places, and three quarters. */
const BOUNDS = [32, 48];

const lengths = sim.readLengths(files.lengths);
const slow = sim.PROFILES['llama2-70b-a100x4'];
const fast = sim.PROFILES['llama2-70b-h100x4'];

/** Requests a second that one instance carries when it is never idle and always full. */
function throughput(profile) {
  const all = { arrivals: new Float64Array(lengths.inputTokens.length), ...lengths, duration: 1 };
  return lengths.inputTokens.length / demandByWindow(all, profile, 1)[0];
}

function play(profiles, rate, balancing, seed) {
  const envelope = { source: 'constant rate', rates: Float64Array.of(rate), windowSeconds: SECONDS };
  const trace = sim.requestsFrom(envelope, lengths, sim.seededRandom(seed, 1));
  const plan = sim.fleetPlan('fleet', {
    profiles,
    minCapacity: INSTANCES,
    maxCapacity: INSTANCES,
    initialCapacity: INSTANCES,
    bootSeconds: 0,
    zones: 3,
    signal: 'static',
    ...balancing,
  });
  // No retry and no second backend: what a full target refuses is counted.
  const link = { name: 'fleet', share: 0, firstTokenSeconds: Infinity, retries: { max: 0, budgetRatio: 0 } };
  const scenario = {
    trace,
    seed,
    sampleSeconds: 600,
    expectedOutputTokens: 256,
    backends: [{ ...link, serves: plan }],
  };
  return sim.measure(sim.simulate(scenario).requests, sim.DEFAULT_OBJECTIVE);
}

const contenders = [
  ['least outstanding requests', { balancing: 'least-outstanding-requests' }],
  ['round robin', { balancing: 'round-robin' }],
  ['power of two choices', { balancing: 'power-of-two-choices' }],
  ['token-weighted', { balancing: 'token-weighted' }],
  ...BOUNDS.map((bound) => [
    `bounded concurrency, ${bound}`,
    { balancing: 'bounded-concurrency', maxConcurrency: bound },
  ]),
];

for (const [name, profiles] of [
  ['equal', [slow]],
  ['mixed', [slow, fast]],
]) {
  const carried = profiles.reduce((sum, profile) => sum + throughput(profile), 0) / profiles.length;
  const rate = LOAD * INSTANCES * carried;
  console.log(`\n${name}: ${profiles.map((profile) => profile.name).join(' + ')}, ${rate.toFixed(1)} requests/s`);
  console.log(
    `  ${''.padEnd(28)}${'p99 ratio'.padStart(10)}${'p50 ratio'.padStart(10)}${'p99 s'.padStart(8)}${'in time'.padStart(10)}${'refused'.padStart(9)}`,
  );
  const runs = contenders.map(([, balancing]) =>
    Array.from({ length: SEEDS }, (_, index) => play(profiles, rate, { maxConcurrency: 64, ...balancing }, index + 1)),
  );
  contenders.forEach(([contender], index) => {
    const ratio = (field) => median(runs[index].map((run, seed) => run[field] / runs[0][seed][field])).toFixed(2);
    const share = (value) => `${(100 * median(runs[index].map(value))).toFixed(2)} %`;
    console.log(
      `  ${contender.padEnd(28)}${ratio('firstTokenP99').padStart(10)}${ratio('firstTokenP50').padStart(10)}` +
        `${median(runs[index].map((run) => run.firstTokenP99))
          .toFixed(2)
          .padStart(8)}` +
        `${share((run) => run.inTime).padStart(10)}${share((run) => run.refused / run.requests).padStart(9)}`,
    );
  });
}
