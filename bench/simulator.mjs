/** Bundles the simulator of bin/simulate for the measurements, and the traces that they replay. */
import { existsSync } from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { build } from 'esbuild';

const root = path.resolve(import.meta.dirname, '..');
const PARTS = [
  'envelope',
  'event-queue',
  'instance-profile',
  'measures',
  'plot',
  'random',
  'scenario',
  'simulation',
  'trace',
];

/** The simulator's parts, as one module. */
export async function loadSimulator() {
  const outfile = path.join(root, 'dist/bench/simulator.mjs');
  await build({
    stdin: {
      contents: PARTS.map((part) => `export * from './bin/simulate/${part}';`).join('\n'),
      resolveDir: root,
    },
    outfile,
    bundle: true,
    platform: 'node',
    format: 'esm',
    logLevel: 'error',
  });
  return import(pathToFileURL(outfile).href);
}

/** Files of the traces in the folder that the command line names. */
export function traceFiles(folder) {
  if (!folder || !existsSync(folder)) {
    console.error('error: name the folder of the traces; where they come from: bench/README.md');
    process.exit(1);
  }
  return {
    lengths: path.join(folder, 'AzureLLMInferenceTrace_conv.csv'),
    envelope: path.join(folder, 'servegen_rates_600s.csv'),
    profile: path.join(folder, 'sageserve_perf_model.csv'),
  };
}

/** ServeGen's class whose rate is replayed. */
export const COLUMN = 'language_m-large_rps';
