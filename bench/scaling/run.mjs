/**
 * What a day of chat costs, and how soon it is answered, when a fleet follows different signals. Envelope of the rates:
 * ServeGen, scaled to a mean of 12 requests a second; tokens: Azure; instances: Llama 2 70B on four A100. Peers are tuned
 * on one day, to the cheapest setting with 99 % of first tokens in time, and scored on another; ours runs with its
 * defaults. Then the same day with inputs 2.5 times as long, which nobody was tuned for, and the loss of a zone at peak.
 *
 *     node bench/scaling/run.mjs TRACE-FOLDER [SEEDS] [PLOT-FOLDER]
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { COLUMN, loadSimulator, traceFiles } from '../simulator.mjs';
import { demandByWindow, lowerBoundHours } from './lower-bound.mjs';

const files = traceFiles(process.argv[2]);
const SEEDS = Number(process.argv[3] ?? 3);
const plotFolder = process.argv[4];
const sim = await loadSimulator();

const TUNING_DAY = 6;
const SCORING_DAY = 7;
const MEAN_RATE = 12;
const BOOTS = [354, 112];
const SHIFT = 2.5;
const GOAL = 0.99;
const MIN_CAPACITY = 3;
const MAX_CAPACITY = 80;
const WINDOW_SECONDS = 600;
const objective = sim.DEFAULT_OBJECTIVE;
const profile = sim.PROFILES[sim.DEFAULT_PROFILE];

const envelope = sim.readEnvelope(files.envelope, COLUMN);
const lengths = sim.readLengths(files.lengths);
const longInputs = { ...lengths, inputTokens: lengths.inputTokens.map((tokens) => Math.round(tokens * SHIFT)) };

function dayOf(day, seed, drawnFrom = lengths) {
  const cut = sim.cutEnvelope(envelope, { day, days: 1, meanRate: MEAN_RATE });
  return sim.requestsFrom(cut, drawnFrom, sim.seededRandom(seed, 1));
}

const demands = new Map();
function demandOf(trace) {
  if (!demands.has(trace)) demands.set(trace, demandByWindow(trace, profile, WINDOW_SECONDS));
  return demands.get(trace);
}

/** A fleet that begins with twice what its first hour keeps busy: the start of a day is no test of scaling. */
function planOf(trace, options) {
  const first = Math.max(...demandOf(trace).slice(0, 6));
  return sim.fleetPlan('fleet', {
    profiles: [profile],
    minCapacity: MIN_CAPACITY,
    maxCapacity: MAX_CAPACITY,
    initialCapacity: Math.ceil(2 * first),
    zones: 3,
    balancing: 'least-outstanding-requests',
    maxConcurrency: profile.maxRequests,
    ...options,
  });
}

function play(trace, plan, seed, more = {}) {
  // No limit to the first token and no second backend: who is late waits, and is counted as late.
  const link = { name: 'fleet', share: 0, firstTokenSeconds: Infinity, retries: { max: 1, budgetRatio: 0.1 } };
  const scenario = {
    trace,
    seed,
    sampleSeconds: 60,
    expectedOutputTokens: 256,
    backends: [{ ...link, serves: plan }],
    ...more,
  };
  const result = sim.simulate(scenario);
  return { scenario, result, ...sim.measure(result.requests, objective) };
}

/** Signals of others, and the targets that are tried for each. */
const PEERS = {
  'GPU utilisation': { signal: 'gpu-utilization', targets: [50, 80, 95] },
  'messages per instance': { signal: 'messages-per-instance', targets: [0.05, 0.1, 0.2, 0.5] },
  concurrency: { signal: 'concurrency', targets: [24, 28, 32, 36, 40] },
};
const STATIC_SIZES = Array.from({ length: 14 }, (_, index) => 8 + index);
const HINDSIGHT_UTILISATIONS = [0.75, 0.8, 0.85, 0.9, 0.95];

const peerPlan = (signal, boot) => (target) => (trace) => planOf(trace, { signal, target, bootSeconds: boot });
const staticPlan = (size) => (trace) =>
  planOf(trace, { signal: 'static', bootSeconds: 0, minCapacity: size, maxCapacity: size });

/** A schedule that knows the day: in each window what its arrivals, and those at the end of a boot, keep busy, over `u`. */
const hindsightPlan = (boot) => (u) => (trace) => {
  const demand = demandOf(trace);
  const at = (seconds) => demand[Math.min(demand.length - 1, Math.floor(seconds / WINDOW_SECONDS))];
  const plan = planOf(trace, { signal: 'static', bootSeconds: boot });
  const once = { scaleOutAfter: 1, scaleOutEvery: 1, scaleInAfter: 1, scaleInEvery: 1, scaleInBelow: 1 };
  return {
    ...plan,
    scaling: {
      periodSeconds: 10,
      signal: ({ now, inService, pending }) => {
        const capacity = inService + pending;
        return { value: Math.max(at(now), at(now + boot + 10)) / u / capacity, capacity };
      },
      tracking: { target: 1, scaleInOn: 'metric', ...once },
    },
  };
};

/** The cheapest setting that reaches the goal on the given days; the best one where none does. */
function tune(settings, planFor, traces) {
  const tried = settings.map((setting) => {
    const runs = traces.map((trace, index) => play(trace, planFor(setting)(trace), index + 1));
    return { setting, inTime: mean(runs, 'inTime'), hours: mean(runs, (run) => run.result.instanceHours) };
  });
  const enough = tried.filter(({ inTime }) => inTime >= GOAL).sort((a, b) => a.hours - b.hours);
  return (enough[0] ?? tried.sort((a, b) => b.inTime - a.inTime)[0]).setting;
}

function mean(runs, value) {
  const read = typeof value === 'string' ? (run) => run[value] : value;
  return runs.reduce((sum, run) => sum + read(run), 0) / runs.length;
}

function score(name, planFor, traces, more) {
  const runs = traces.map((trace, index) => play(trace, planFor(trace), index + 1, more));
  const bound = mean(traces, (trace) => lowerBoundHours(trace, profile, MIN_CAPACITY));
  const hours = mean(runs, (run) => run.result.instanceHours);
  const cells = [
    (hours * profile.gpus).toFixed(0).padStart(9),
    (hours / bound).toFixed(2).padStart(8),
    `${(100 * mean(runs, 'inTime')).toFixed(2)} %`.padStart(9),
    mean(runs, 'firstTokenP99').toFixed(2).padStart(8),
    mean(runs, (run) => run.result.launches)
      .toFixed(0)
      .padStart(8),
  ];
  console.log(`  ${name.padEnd(38)}${cells.join('')}`);
  return runs;
}

function heading(text, traces) {
  const bound = mean(traces, (trace) => lowerBoundHours(trace, profile, MIN_CAPACITY)) * profile.gpus;
  console.log(`\n${text}; lower bound ${bound.toFixed(0)} GPU-hours`);
  console.log(
    `  ${''.padEnd(38)}${'GPU-hours'.padStart(9)}${'× bound'.padStart(8)}${'in time'.padStart(9)}${'p99 s'.padStart(8)}${'launches'.padStart(8)}`,
  );
}

function plot(name, title, run) {
  if (plotFolder === undefined) return;
  mkdirSync(plotFolder, { recursive: true });
  writeFileSync(path.join(plotFolder, name), sim.plotSvg(title, run.scenario, run.result, objective));
}

const seeds = Array.from({ length: SEEDS }, (_, index) => index + 1);
const tuning = seeds.map((seed) => dayOf(TUNING_DAY, seed));
const scoring = seeds.map((seed) => dayOf(SCORING_DAY, seed));
const shifted = seeds.map((seed) => dayOf(SCORING_DAY, seed, longInputs));
const began = performance.now();
console.log(
  `${profile.name}; ${SEEDS} seeds; ${mean(scoring, (trace) => trace.arrivals.length).toFixed(0)} requests a day`,
);

const staticSize = tune(STATIC_SIZES, staticPlan, tuning);
for (const boot of BOOTS) {
  const ours = (trace) => planOf(trace, { signal: 'fleet-load', bootSeconds: boot });
  const contenders = [['FleetLoad, its defaults', ours]];
  for (const [name, { signal, targets }] of Object.entries(PEERS)) {
    const target = tune(targets, peerPlan(signal, boot), tuning);
    contenders.push([`${name}, tuned to ${target}`, peerPlan(signal, boot)(target)]);
  }
  contenders.push([`static, ${staticSize} instances`, staticPlan(staticSize)]);
  const u = tune(HINDSIGHT_UTILISATIONS, hindsightPlan(boot), scoring);
  contenders.push([`schedule in hindsight, ${(100 * u).toFixed(0)} % busy`, hindsightPlan(boot)(u)]);

  heading(`Boot ${boot} s, day ${SCORING_DAY}`, scoring);
  const runs = contenders.map(([name, plan]) => score(name, plan, scoring));
  if (boot === BOOTS[0]) {
    plot('day-fleet-load.svg', `FleetLoad, its defaults, boot ${boot} s`, runs[0][0]);
    plot('day-concurrency.svg', `${contenders[3][0]}, boot ${boot} s`, runs[3][0]);
  }
  heading(`Boot ${boot} s, day ${SCORING_DAY}, inputs ${SHIFT} times as long`, shifted);
  contenders.slice(0, -1).forEach(([name, plan]) => score(name, plan, shifted));
}

const demand = demandOf(scoring[0]);
const peak = demand.indexOf(Math.max(...demand)) * WINDOW_SECONDS;
const loss = { zone: 0, atSeconds: peak + 300, silentSeconds: 30 };
heading(`Boot ${BOOTS[0]} s, one of three zones lost at peak (${(loss.atSeconds / 3600).toFixed(1)} h)`, scoring);
for (const [name, target] of [
  ['target 100', 100],
  ['target 67: enough in two zones', (100 * 2) / 3],
]) {
  const plan = (trace) => planOf(trace, { signal: 'fleet-load', bootSeconds: BOOTS[0], target });
  score(`${name}, no loss`, plan, scoring);
  const runs = score(`${name}, zone lost`, plan, scoring, { zoneLoss: loss });
  const hour = runs.map((run) =>
    sim.measure(run.result.requests, objective, { from: loss.atSeconds, to: loss.atSeconds + 3600 }),
  );
  const share = (value) => `${(100 * mean(hour, value)).toFixed(2)} %`;
  console.log(`    the hour after: in time ${share('inTime')}, cut off ${share((m) => m.broken / m.requests)}`);
  if (target < 100) plot('zone-loss.svg', `One of three zones lost at peak, enough in two`, runs[0]);
}
console.log(`\n${((performance.now() - began) / 1000).toFixed(0)} s`);
