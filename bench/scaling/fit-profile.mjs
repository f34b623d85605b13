/**
 * Where the numbers of bin/simulate/instance-profile.ts come from: straight lines by least squares through the medians of
 * SageServe's measurements of Llama 2 70B on four GPUs. Prompt times up to 2048 tokens a step, token times by batch size.
 *
 *     node bench/scaling/fit-profile.mjs TRACE-FOLDER
 */
import { readFileSync } from 'node:fs';
import { median } from '../median.mjs';
import { traceFiles } from '../simulator.mjs';

const MODEL = 'llama2-70b';
const GPUS = 4;
const STEP_TOKENS = 2048;
/** The prompts by which token times are compared; the measurements vary the batch at these alone. */
const PROMPT = 512;

const [header, ...lines] = readFileSync(traceFiles(process.argv[2]).profile, 'utf8').trim().split('\n');
const names = header.split(',');
const rows = lines
  .map((line) => Object.fromEntries(line.split(',').map((value, index) => [names[index], value])))
  .filter((row) => row.model === MODEL && Number(row.tensor_parallel) === GPUS && Number(row.token_size) === 128);

for (const hardware of ['a100-80gb', 'h100-80gb']) {
  const groups = new Map();
  for (const row of rows.filter((candidate) => candidate.hardware === hardware)) {
    const key = `${row.prompt_size} ${row.batch_size}`;
    groups.set(key, [...(groups.get(key) ?? []), row]);
  }
  const points = [...groups.values()].map((group) => ({
    prompt: Number(group[0].prompt_size),
    batch: Number(group[0].batch_size),
    promptMs: median(group.map((row) => Number(row.prompt_time))),
    tokenMs: median(group.map((row) => Number(row.token_time))),
  }));
  const prefill = line(
    points.filter(({ prompt, batch }) => prompt * batch <= STEP_TOKENS).map((p) => [p.prompt * p.batch, p.promptMs]),
  );
  const decode = line(points.filter(({ prompt }) => prompt === PROMPT).map((p) => [p.batch, p.tokenMs]));
  console.log(`${MODEL} on ${GPUS} × ${hardware}`);
  console.log(`  prefillTokensPerSecond  ${(1000 / prefill.slope).toFixed(0)}`);
  console.log(`  stepMs                  ${decode.intercept.toFixed(1)}`);
  console.log(`  stepMsPerRequest        ${decode.slope.toFixed(3)}`);
}

function line(points) {
  const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;
  const [mx, my] = [mean(points.map(([x]) => x)), mean(points.map(([, y]) => y))];
  const slope =
    points.reduce((sum, [x, y]) => sum + (x - mx) * (y - my), 0) / points.reduce((sum, [x]) => sum + (x - mx) ** 2, 0);
  return { slope, intercept: my - slope * mx };
}
