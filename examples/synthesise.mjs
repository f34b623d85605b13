/**
 * Synthesises the examples with the built package, as a consumer would, and with cdk-nag on top.
 *
 *     node examples/synthesise.mjs OUTDIR [NAME ...]
 *
 * Writes OUTDIR/NAME/*.template.json. Exits 1 where an example reports anything: an error, a warning, a finding.
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { build } from 'esbuild';

const here = import.meta.dirname;
const root = path.dirname(here);
const [outdir, ...names] = process.argv.slice(2);
if (!outdir) throw new Error('usage: node examples/synthesise.mjs OUTDIR [NAME ...]');

const examples = names.length > 0 ? names : readdirSync(here).flatMap((file) => file.match(/^(.*)\.ts$/)?.[1] ?? []);
const { context } = JSON.parse(readFileSync(path.join(root, 'cdk.json'), 'utf8'));

/** An app checks itself when it is synthesised; this adds cdk-nag without a word of it in the examples. */
const NAG = `
const { App, Validations } = require('aws-cdk-lib');
const { AwsSolutionsChecks } = require('cdk-nag');
const { synth } = App.prototype;
App.prototype.synth = function (options) {
  if (!this.nagged) Validations.of(this).addPlugins(new AwsSolutionsChecks(this));
  this.nagged = true;
  return synth.call(this, options);
};`;

let clean = true;
for (const name of examples) {
  const directory = path.resolve(outdir, name);
  mkdirSync(directory, { recursive: true });
  const file = path.join(root, 'dist', 'examples', `${name}.js`);
  await build({
    entryPoints: [path.join(here, `${name}.ts`)],
    outfile: file,
    bundle: true,
    platform: 'node',
    format: 'cjs',
    external: ['aws-cdk-lib', 'constructs', 'cdk-nag', '../lib/index.js'],
    alias: { 'cdk-inference-platform': '../lib/index.js' },
    banner: { js: NAG },
    logLevel: 'error',
  });
  const { status, stdout, stderr } = spawnSync(process.execPath, [file], {
    encoding: 'utf8',
    env: { ...process.env, CDK_OUTDIR: directory, CDK_CONTEXT_JSON: JSON.stringify(context) },
  });
  const warnings = readdirSync(directory).includes('manifest.json') ? annotations(directory) : [];
  const report = [stdout, stderr, ...warnings].join('\n').trim();
  if (status !== 0 || report !== '') clean = false;
  console.log(`${name}: ${status === 0 && report === '' ? 'clean' : `exit ${status}\n${report.slice(0, 5000)}`}`);
}
process.exitCode = clean ? 0 : 1;

/** Warnings and errors that constructs left for the CDK's command line to print. */
function annotations(directory) {
  return readdirSync(directory)
    .filter((file) => file.endsWith('metadata.json') || file === 'manifest.json')
    .flatMap((file) => readFileSync(path.join(directory, file), 'utf8').split('\n'))
    .filter((line) => /"type": "aws:cdk:(warning|error|info)"/.test(line));
}
