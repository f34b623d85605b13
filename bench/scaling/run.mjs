/**
 * What a day of chat costs, and how soon it is answered, when a fleet follows different signals. Envelope of the rates:
 * ServeGen, scaled to a mean of 12 requests a second; tokens: Azure; instances: Llama 2 70B on four A100. Peers are tuned
 * on one day, to the cheapest setting with 99 % of first tokens in time, and scored on another; ours runs with its
 * defaults. Then the same day with inputs 2.5 times as long, which nobody was tuned for.
 *
 *     node bench/scaling/run.mjs TRACE-FOLDER [SEEDS] [PLOT-FOLDER]
 */
import {
  BOOTS,
  dayOf,
  demandOf,
  envelope,
  GOAL,
  heading,
  longInputs,
  mean,
  planOf,
  play,
  plot,
  profile,
  score,
  SCORING_DAY,
  SEEDS,
  seeds,
  SHIFT,
  sim,
  TUNING_DAY,
  WINDOW_SECONDS,
} from './fleet-day.mjs';

/** A fleet whose instances refuse what they have no place for: a full batch is the default of `concurrencyControl`. */
const BOUNDED = { balancing: 'bounded-concurrency' };
const CONCURRENCIES = [24, 28, 32, 36, 40, 44, 48, 52, 56, 60, 64];

/** As target tracking follows a metric of high resolution: with it, what is left to tell signals apart is what they count. */
const AT_10_SECONDS = { periodSeconds: 10, scaleInSeconds: 600, scaleInIntervalSeconds: 300 };

/** Signals of others, and the targets that are tried for each. */
const PEERS = {
  'GPU utilisation': { signal: 'gpu-utilization', targets: [80, 95] },
  'messages per instance': { signal: 'messages-per-instance', targets: [0.05, 0.1, 0.2, 0.5] },
  concurrency: { signal: 'concurrency', targets: CONCURRENCIES },
  'concurrency at 10 s': { signal: 'concurrency', targets: CONCURRENCIES, how: AT_10_SECONDS },
  'concurrency at 10 s, bounded': {
    signal: 'concurrency',
    targets: CONCURRENCIES,
    how: { ...AT_10_SECONDS, ...BOUNDED },
  },
};
const OURS = 'FleetLoad, its defaults';
const OURS_OTHERWISE = {
  'FleetLoad, bounded concurrency': { ...BOUNDED, boundedAdmission: false },
  'FleetLoad, servers queue': { boundedAdmission: false },
};
const STATIC_SIZES = [9, 10, 11, 12, 13];
const UTILISATIONS = [0.8, 0.85, 0.9, 0.95, 1];

const peerPlan =
  ({ signal, how }, boot) =>
  (target) =>
  (trace) =>
    planOf(trace, { signal, target, bootSeconds: boot, ...how });
const staticPlan = (size) => (trace) =>
  planOf(trace, { signal: 'static', bootSeconds: 0, minCapacity: size, maxCapacity: size });

/**
 * Schedules that are told what the arrivals of each window keep busy, and have that over `u`: of the whole day, so that
 * they launch a boot before it is needed, or of the present only. Both let in no more than their instances carry.
 */
const KNOWING = { 'the day': (boot) => [0, boot + 10], 'the present': () => [0] };
const schedulePlan = (boot, knows) => (u) => (trace) => {
  const demand = demandOf(trace);
  const at = (seconds) => demand[Math.min(demand.length - 1, Math.floor(seconds / WINDOW_SECONDS))];
  const plan = planOf(trace, { signal: 'fleet-load', bootSeconds: boot });
  const once = { scaleOutAfter: 1, scaleOutEvery: 1, scaleInAfter: 1, scaleInEvery: 1, scaleInBelow: 1 };
  return {
    ...plan,
    scaling: {
      periodSeconds: 10,
      signal:
        () =>
        ({ now, inService, pending }) => {
          const capacity = inService + pending;
          return { value: Math.max(...KNOWING[knows](boot).map((ahead) => at(now + ahead))) / u / capacity, capacity };
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
  const { setting } = enough[0] ?? tried.sort((a, b) => b.inTime - a.inTime)[0];
  if (settings.length > 2 && (setting === settings[0] || setting === settings.at(-1))) {
    console.log(`  (${setting} is an end of what was tried: ${settings.join(', ')})`);
  }
  return setting;
}

const tuning = seeds.map((seed) => dayOf(TUNING_DAY, seed));
const scoring = seeds.map((seed) => dayOf(SCORING_DAY, seed));
const shifted = seeds.map((seed) => dayOf(SCORING_DAY, seed, longInputs));
const began = performance.now();
console.log(
  `${profile.name}; ${SEEDS} seeds; ${mean(scoring, (trace) => trace.arrivals.length).toFixed(0)} requests a day`,
);

const staticSize = tune(STATIC_SIZES, staticPlan, tuning);
for (const boot of BOOTS) {
  const ours = (how) => (trace) => planOf(trace, { signal: 'fleet-load', bootSeconds: boot, ...how });
  const contenders = [[OURS, ours()], ...Object.entries(OURS_OTHERWISE).map(([name, how]) => [name, ours(how)])];
  for (const [name, peer] of Object.entries(PEERS)) {
    const target = tune(peer.targets, peerPlan(peer, boot), tuning);
    contenders.push([`${name}, tuned to ${target}`, peerPlan(peer, boot)(target)]);
  }
  contenders.push([`static, ${staticSize} instances`, staticPlan(staticSize)]);
  const realistic = contenders.length;
  for (const knows of Object.keys(KNOWING)) {
    const u = tune(UTILISATIONS, schedulePlan(boot, knows), scoring);
    contenders.push([`schedule that knows ${knows}, ${(100 * u).toFixed(0)} % busy`, schedulePlan(boot, knows)(u)]);
  }

  heading(`Boot ${boot} s, day ${SCORING_DAY}`, scoring);
  const runs = contenders.map(([name, plan]) => score(name, plan, scoring));
  if (boot === BOOTS[0]) {
    const drawn = {
      'day-fleet-load.svg': OURS,
      'day-queueing.svg': 'FleetLoad, servers queue',
      'day-concurrency.svg': 'concurrency, ',
    };
    for (const [file, name] of Object.entries(drawn)) {
      const index = contenders.findIndex(([candidate]) => candidate.startsWith(name));
      plot(file, `${contenders[index][0]}, boot ${boot} s`, runs[index][0]);
    }
  }
  heading(`Boot ${boot} s, day ${SCORING_DAY}, inputs ${SHIFT} times as long`, shifted);
  contenders.slice(0, realistic).forEach(([name, plan]) => score(name, plan, shifted));
}

/** Every other day, which nothing was chosen for: how far the day that is scored is one of its kind. */
const others = Array.from({ length: sim.daysOf(envelope) }, (_, day) => day).filter((day) => day !== TUNING_DAY);
const traces = others.map((day) => dayOf(day, 1));
for (const boot of BOOTS) {
  heading(`Boot ${boot} s, ${OURS}, day by day (seed 1)`, traces);
  others.forEach((day, index) => {
    score(`day ${day}`, (trace) => planOf(trace, { signal: 'fleet-load', bootSeconds: boot }), [traces[index]]);
  });
}

console.log(`\n${((performance.now() - began) / 1000).toFixed(0)} s`);
