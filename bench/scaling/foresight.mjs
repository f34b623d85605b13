/**
 * How well the past of the scoring day, and of the days before it, tells the next ten minutes: the least that a fleet has to
 * know ahead when its instances boot for six. Prints the root mean square of the error, of logarithms.
 *
 *     node bench/scaling/foresight.mjs TRACE-FOLDER
 */
import { COLUMN, loadSimulator, traceFiles } from '../simulator.mjs';

const SCORING_DAY = 7;

const sim = await loadSimulator();
const { rates, windowSeconds } = sim.readEnvelope(traceFiles(process.argv[2]).envelope, COLUMN);
const day = Math.round(86_400 / windowSeconds);
const daysBefore = Array.from({ length: SCORING_DAY }, (_, index) => index + 1);
const meanOf = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;
const stepAfter = (i) => Math.log(rates[i + 1] / rates[i]);

/** What each guesses of the window after `i`. */
const GUESSES = {
  'the rate of the last ten minutes': (i) => rates[i],
  'the same, and the step between the last two': (i) => (rates[i] * rates[i]) / rates[i - 1],
  'the same, and the mean step of that hour on the days before': (i) =>
    rates[i] * Math.exp(meanOf(daysBefore.map((days) => stepAfter(i - days * day)))),
  'the same, and the step of the day before': (i) => rates[i] * Math.exp(stepAfter(i - day)),
  'the mean of that hour on the days before': (i) => meanOf(daysBefore.map((days) => rates[i + 1 - days * day])),
};

for (const [name, guess] of Object.entries(GUESSES)) {
  const errors = Array.from({ length: day - 1 }, (_, index) => {
    const i = SCORING_DAY * day + index;
    return Math.log(rates[i + 1] / guess(i)) ** 2;
  });
  console.log(`${name.padEnd(62)}${(100 * Math.sqrt(meanOf(errors))).toFixed(1).padStart(6)} %`);
}
