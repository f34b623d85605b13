import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import policy from '../../bin/policy.json';
import { CliProcess, type RunningPlatform, startPlatform } from '../end-to-end/processes';
import { report } from './report';

/**
 * PIPELINE_DOCUMENTS=all takes all of node_modules: the documentation of a thousand pages, half a minute on a quiet machine.
 * Otherwise it takes these packages and their own dependencies' pages below them.
 */
const IS_WHOLE = process.env.PIPELINE_DOCUMENTS === 'all';
const PACKAGES = [
  'ajv',
  'commander',
  'constructs',
  'esbuild',
  'execa',
  'fast-check',
  'ioredis',
  'jose',
  'openai',
  'prettier',
  'typescript',
  '@jridgewell',
  '@babel',
];

/** Questions in words of their own, and the page that answers them. */
const GOLDEN = [
  [
    'generate random inputs with arbitraries and shrink the counterexample in property based testing',
    'fast-check/README.md',
  ],
  ['redis cluster sentinel pipelining and autopipelining client for node', 'ioredis/README.md'],
  ['sign and verify JWT JWS JWE and JWK in javascript runtimes', 'jose/README.md'],
  ['parse command line options and subcommands with help of a program', 'commander/Readme.md'],
  ['validate data against a JSON schema compiled to a function', 'ajv/README.md'],
  ['stream responses from chat completions with the openai client', 'openai/README.md'],
] as const;

jest.setTimeout(600_000);

describe('the documentation of our own dependencies', () => {
  const root = mkdtempSync(join(tmpdir(), 'pipeline-documentation-'));
  const input = IS_WHOLE ? join(__dirname, '../../node_modules') : join(root, 'input');
  const example = JSON.parse(
    readFileSync(join(__dirname, '../../examples/documentation-pipeline.json'), 'utf8'),
  ) as object;
  let platform: RunningPlatform;

  beforeAll(async () => {
    const plan = {
      name: 'ingest',
      requestsPerMinute: 100_000,
      tokensPerMinute: 100_000_000,
      parallelRequests: 8,
      maxTokensPerRequest: 100_000,
    };
    const tenant = { name: 'pipeline', plan: 'ingest', keys: ['sk-local-pipeline'] };
    writeFileSync(
      join(root, 'policy.json'),
      JSON.stringify({ ...policy, plans: [...policy.plans, plan], tenants: [...policy.tenants, tenant] }),
    );
    writeFileSync(
      join(root, 'pipeline.json'),
      JSON.stringify({ ...example, retrieval: { results: 5, goldenSet: 'golden.jsonl', leastRecall: 0.8 } }),
    );
    writeFileSync(
      join(root, 'golden.jsonl'),
      GOLDEN.map(([query, uri]) => `${JSON.stringify({ query, uri })}\n`).join(''),
    );
    if (!IS_WHOLE) {
      for (const name of PACKAGES) {
        const from = join(__dirname, '../../node_modules', name);
        const isText = (file: string) => /(^|\/)[^.]*$|\.(md|markdown|txt)$/i.test(file);
        cpSync(from, join(input, name), {
          recursive: true,
          dereference: true,
          filter: (file) => isText(file.slice(dirname(from).length)) || !/\.\w+$/.test(file),
        });
      }
    }
    platform = await startPlatform(['--policy', join(root, 'policy.json')]);
  });

  afterAll(async () => {
    await platform.process.end();
    rmSync(root, { recursive: true, force: true });
  });

  it('is chunked, embedded through the local gateway and published, and a query finds the right page', async () => {
    const endpoint = platform.baseUrl.replace(/\/v1$/, '');
    const place = ['--config', join(root, 'pipeline.json'), '--output', join(root, 'out')];
    const key = { OPENAI_API_KEY: 'sk-local-pipeline' };
    const run = new CliProcess(['pipeline', 'run', ...place, '--input', input, '--endpoint', endpoint], key);
    expect([await run.exitCode(), run.errors]).toEqual([0, '']);
    const [version = ''] = /version +([0-9a-f]{32}) {2}published/.exec(run.output)?.slice(1) ?? [];
    expect(readdirSync(join(root, 'out/documentation/versions'))).toEqual([`${version}.json`]);
    const [recall = ''] = /answers, recall ([\d.]+) %/.exec(run.output)?.slice(1) ?? [];
    expect(Number(recall)).toBeGreaterThanOrEqual(80);
    const [query, page] = GOLDEN[0];
    const asked = new CliProcess(['pipeline', 'query', ...place, '--endpoint', endpoint, '--results', '1', query], key);
    expect([await asked.exitCode(), asked.errors]).toEqual([0, '']);
    expect(asked.output).toContain(page);
    const again = new CliProcess(['pipeline', 'run', ...place, '--input', input, '--endpoint', endpoint], key);
    expect(await again.exitCode()).toBe(0);
    expect(again.output).toContain(`version       ${version}  published already, nothing has changed`);
    const [, records, chunks] = /read +([\d,]+) records[^]*published +([\d,]+)/.exec(run.output) ?? [];
    report('documentation', { records, chunks, recall: `${recall} %`, firstAnswer: asked.output.split('\n')[0] });
  });
});
