/**
 * What a synth of the reference stack costs, next to an empty stack and to a plain-L2 app of similar size; and what an
 * import of the package costs beyond the aws-cdk-lib modules that it uses. Medians of interleaved rounds.
 *
 *     node bench/synth/run.mjs [ROUNDS]
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { build } from 'esbuild';

const rounds = Number(process.argv[2] ?? 9);
const here = import.meta.dirname;
const root = path.resolve(here, '../..');
const bundles = path.join(root, 'dist', 'bench');
const { context } = JSON.parse(readFileSync(path.join(root, 'cdk.json'), 'utf8'));

const apps = ['empty', 'plain-l2', 'reference'];
await build({
  entryPoints: apps.map((name) => path.join(here, `${name}.ts`)),
  outdir: bundles,
  bundle: true,
  platform: 'node',
  format: 'cjs',
  external: ['aws-cdk-lib', 'constructs'],
  logLevel: 'error',
  plugins: [
    {
      name: 'built-library',
      setup: ({ onResolve }) => onResolve({ filter: /\/lib$/ }, () => ({ path: '../lib/index.js', external: true })),
    },
  ],
});

const modules = librariesOf(path.join(root, 'dist', 'lib'));
writeFileSync(path.join(bundles, 'import-modules.js'), modules.map((name) => `require('${name}');`).join('\n'));
writeFileSync(path.join(bundles, 'import-package.js'), "require('../lib/index.js');");
const programs = [...apps, 'import-modules', 'import-package'];

const times = Object.fromEntries(programs.map((name) => [name, []]));
const resources = {};
for (let round = 0; round < rounds; round++) {
  for (const name of programs) {
    const { milliseconds, count } = run(name);
    times[name].push(milliseconds);
    resources[name] = count;
  }
}

const of = (name) => median(times[name]);
for (const name of apps)
  console.log(`synth ${name.padEnd(10)} ${of(name).toFixed(0).padStart(6)} ms  ${resources[name]} resources`);
const ratios = times.reference.map((time, round) => time / times['plain-l2'][round]);
console.log(`reference / plain-l2 = ${median(ratios).toFixed(2)}, median of the rounds' ratios  (at most 1.20)`);
console.log(
  `import: package ${of('import-package').toFixed(0)} ms, its ${modules.length} aws-cdk-lib modules ` +
    `${of('import-modules').toFixed(0)} ms, difference ${(of('import-package') - of('import-modules')).toFixed(0)} ms  (at most 60)`,
);

/** One run in a fresh process: its wall time, and how many resources it wrote. */
function run(name) {
  const outdir = mkdtempSync(path.join(tmpdir(), 'bench-synth-'));
  const start = process.hrtime.bigint();
  const { status, stderr } = spawnSync(process.execPath, [path.join(bundles, `${name}.js`)], {
    cwd: root,
    encoding: 'utf8',
    env: { ...process.env, CDK_OUTDIR: outdir, CDK_VALIDATION: 'false', CDK_CONTEXT_JSON: JSON.stringify(context) },
  });
  const milliseconds = Number(process.hrtime.bigint() - start) / 1e6;
  if (status !== 0) throw new Error(`${name}: ${stderr.slice(-2000)}`);
  const count = readdirSync(outdir)
    .filter((file) => file.endsWith('.template.json'))
    .map((file) => Object.keys(JSON.parse(readFileSync(path.join(outdir, file), 'utf8')).Resources ?? {}).length)
    .reduce((sum, each) => sum + each, 0);
  rmSync(outdir, { recursive: true });
  return { milliseconds, count };
}

/** The modules of aws-cdk-lib (and constructs) that the built library requires. */
function librariesOf(directory) {
  const names = readdirSync(directory, { recursive: true })
    .filter((file) => file.endsWith('.js'))
    .flatMap((file) => [...readFileSync(path.join(directory, file), 'utf8').matchAll(/require\("([^."][^"]*)"\)/g)])
    .map(([, name]) => name)
    .filter((name) => /^(aws-cdk-lib|constructs)/.test(name));
  return [...new Set(names)].sort();
}

function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)];
}
