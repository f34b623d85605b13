/**
 * One of three zones lost at the peak of the day: whether first tokens stay in time with enough capacity in two zones, and
 * what that costs. The day, the fleet and the traces are those of `run.mjs`.
 *
 *     node bench/scaling/zone-loss.mjs TRACE-FOLDER [SEEDS] [PLOT-FOLDER]
 */
import {
  BOOTS,
  dayOf,
  demandOf,
  heading,
  mean,
  objective,
  planOf,
  plot,
  score,
  SCORING_DAY,
  seeds,
  sim,
  WINDOW_SECONDS,
} from './fleet-day.mjs';

/** Requests that were in progress when the zone was lost came before it. */
const BEFORE_SECONDS = 60;

const scoring = seeds.map((seed) => dayOf(SCORING_DAY, seed));
const demand = demandOf(scoring[0]);
const peak = demand.indexOf(Math.max(...demand)) * WINDOW_SECONDS;
const loss = { zone: 0, atSeconds: peak + 300, silentSeconds: 30 };
heading(`Boot ${BOOTS[0]} s, one of three zones lost at peak (${(loss.atSeconds / 3600).toFixed(1)} h)`, scoring);
for (const [name, survivesZoneLoss] of [
  ['its defaults', false],
  ['survivesZoneLoss', true],
]) {
  const plan = (trace) => planOf(trace, { signal: 'fleet-load', bootSeconds: BOOTS[0], survivesZoneLoss });
  score(`${name}, no loss`, plan, scoring);
  const runs = score(`${name}, zone lost`, plan, scoring, { zoneLoss: loss });
  const hour = runs.map((run) =>
    sim.measure(run.result.requests, objective, { from: loss.atSeconds - BEFORE_SECONDS, to: loss.atSeconds + 3600 }),
  );
  const share = (value) => `${(100 * mean(hour, value)).toFixed(2)} %`;
  console.log(`    the hour after: in time ${share('inTime')}, cut off ${share((m) => m.broken / m.requests)}`);
  if (survivesZoneLoss) plot('zone-loss.svg', `One of three zones lost at peak, enough in two`, runs[0]);
}
