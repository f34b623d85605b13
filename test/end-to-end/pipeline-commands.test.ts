import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { PipelineSandbox } from '../hard/pipeline-corpus';
import { CliProcess } from './processes';

const CLI = join(__dirname, '../../dist/bin/cli.js');
const PASS = {
  name: 'pass',
  stages: [{ name: 'own', work: { function: { name: 'own' } }, input: { type: 'object' }, output: { type: 'object' } }],
};

describe('a run with a function', () => {
  let sandbox: PipelineSandbox;
  beforeEach(() => {
    sandbox = new PipelineSandbox(PASS);
    sandbox.write('input/a.jsonl', '{"id":1}');
  });
  afterEach(() => sandbox.remove());

  const run = async (module: string) => {
    sandbox.write('own.mjs', module);
    const cli = new CliProcess(['pipeline', 'run', ...sandbox.args(), '--function', `own=${sandbox.path('own.mjs')}`]);
    return { code: await cli.exitCode(), errors: cli.errors, output: cli.output };
  };

  it.each([
    ['does not parse', 'export const handler = (', 'cannot be loaded: SyntaxError'],
    ['imports what is not there', "import './nowhere.mjs'; export const handler = () => 1;", 'Cannot find module'],
    ['has no handler', 'export const run = () => 1;', 'must export a function named handler'],
  ])('reads nothing where its module %s', async (_, module, words) => {
    const { code, errors, output } = await run(module);
    expect([code, output]).toEqual([1, '']);
    expect(errors).toMatch(new RegExp(`^error: --function own=.*own\\.mjs .*${words}.*\\n$`));
  });

  it('fails where the function ends the process, or its module never comes to an end', async () => {
    for (const module of ['export const handler = () => process.exit(0);', 'await new Promise(() => {});']) {
      const { code, errors } = await run(module);
      expect(code).toBe(1);
      expect(errors).toContain('error: the process was ended before the command was');
    }
  });

  it('is heard of no more by whoever has read enough of its records', async () => {
    sandbox.write('input/a.jsonl', `${JSON.stringify({ text: 'x'.repeat(1000) })}\n`.repeat(2000));
    const { code } = await run(
      'export const handler = ({ records }) => ({ results: records.map((r) => ({ records: [r] })) });',
    );
    expect(code).toBe(0);
    const [config, output] = [sandbox.path('pipeline.json'), sandbox.path('out')];
    const reader = spawn(process.execPath, [CLI, 'pipeline', 'read', '--config', config, '--output', output], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let errors = '';
    reader.stderr.on('data', (text: Buffer) => (errors += text.toString()));
    await once(reader.stdout, 'readable');
    reader.stdout.destroy();
    expect((await once(reader, 'close'))[0]).toBe(0);
    expect(errors).toBe('');
  });
});

it('an address that is none is told with its flag and value', async () => {
  const cli = new CliProcess(['features', 'ingest', 'x', '--function', 'f', '--aws-endpoint', 'nonsense']);
  expect(await cli.exitCode()).toBe(1);
  expect(cli.errors).toContain("option '--aws-endpoint <url>' argument 'nonsense' is invalid. It must be an address");
});
