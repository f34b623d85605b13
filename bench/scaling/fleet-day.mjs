/** A day of chat on a fleet, as the measurements of scaling replay it: SEEDS and folders come from the command line. */
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { COLUMN, loadSimulator, traceFiles } from '../simulator.mjs';
import { demandByWindow, lowerBoundHours } from './lower-bound.mjs';

const files = traceFiles(process.argv[2]);
export const SEEDS = Number(process.argv[3] ?? 3);
const plotFolder = process.argv[4];
export const sim = await loadSimulator();

export const TUNING_DAY = 6;
export const SCORING_DAY = 7;
const MEAN_RATE = 12;
export const BOOTS = [354, 112];
export const SHIFT = 2.5;
export const GOAL = 0.99;
const MIN_CAPACITY = 3;
const MAX_CAPACITY = 80;
export const WINDOW_SECONDS = 600;
export const objective = sim.DEFAULT_OBJECTIVE;
export const profile = sim.PROFILES[sim.DEFAULT_PROFILE];

export const envelope = sim.readEnvelope(files.envelope, COLUMN);
const lengths = sim.readLengths(files.lengths);
export const longInputs = { ...lengths, inputTokens: lengths.inputTokens.map((tokens) => Math.round(tokens * SHIFT)) };

export function dayOf(day, seed, drawnFrom = lengths) {
  const cut = sim.cutEnvelope(envelope, { day, days: 1, meanRate: MEAN_RATE });
  return sim.requestsFrom(cut, drawnFrom, sim.seededRandom(seed, 1));
}

const demands = new Map();
export function demandOf(trace) {
  if (!demands.has(trace)) demands.set(trace, demandByWindow(trace, profile, WINDOW_SECONDS));
  return demands.get(trace);
}

/** A fleet that begins with twice what its first hour keeps busy: the start of a day is no test of scaling. */
export function planOf(trace, options) {
  const first = Math.max(...demandOf(trace).slice(0, 6));
  return sim.fleetPlan('fleet', {
    profiles: [profile],
    minCapacity: MIN_CAPACITY,
    maxCapacity: MAX_CAPACITY,
    initialCapacity: Math.ceil(2 * first),
    zones: 3,
    balancing: 'least-outstanding-requests',
    ...options,
  });
}

export function play(trace, plan, seed, more = {}) {
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

export function mean(runs, value) {
  const read = typeof value === 'string' ? (run) => run[value] : value;
  return runs.reduce((sum, run) => sum + read(run), 0) / runs.length;
}

export function score(name, planFor, traces, more) {
  const runs = traces.map((trace, index) => play(trace, planFor(trace), index + 1, more));
  const bound = mean(traces, (trace) => lowerBoundHours(trace, profile, MIN_CAPACITY));
  const hours = mean(runs, (run) => run.result.instanceHours);
  const cells = [
    (hours * profile.gpus).toFixed(0).padStart(9),
    (hours / bound).toFixed(2).padStart(9),
    `${(100 * mean(runs, 'inTime')).toFixed(2)} %`.padStart(9),
    mean(runs, 'firstTokenP99').toFixed(2).padStart(9),
    mean(runs, (run) => run.result.launches)
      .toFixed(0)
      .padStart(9),
  ];
  console.log(`  ${name.padEnd(46)}${cells.join('')}`);
  return runs;
}

export function heading(text, traces) {
  const bound = mean(traces, (trace) => lowerBoundHours(trace, profile, MIN_CAPACITY)) * profile.gpus;
  console.log(`\n${text}; lower bound ${bound.toFixed(0)} GPU-hours`);
  console.log(
    `  ${''.padEnd(46)}${'GPU-hours'.padStart(9)}${'× bound'.padStart(8)}${'in time'.padStart(9)}${'p99 s'.padStart(8)}${'launches'.padStart(9)}`,
  );
}

export function plot(name, title, run) {
  if (plotFolder === undefined) return;
  mkdirSync(plotFolder, { recursive: true });
  writeFileSync(path.join(plotFolder, name), sim.plotSvg(title, run.scenario, run.result, objective));
}

/** The seeds of a measurement, from 1 on. */
export const seeds = Array.from({ length: SEEDS }, (_, index) => index + 1);
