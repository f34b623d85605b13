import { describe, expect, it } from '@jest/globals';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';

const HANDLERS = resolve(__dirname, '../../../dist/handlers');
const policyFile = join(mkdtempSync(join(tmpdir(), 'policy-')), 'policy.json');
writeFileSync(
  policyFile,
  JSON.stringify({ plans: [], tenants: [], backends: [], models: [{ name: 'llama', backends: [] }] }),
);
const featuresFile = join(mkdtempSync(join(tmpdir(), 'features-')), 'features.json');
writeFileSync(featuresFile, JSON.stringify({ name: 'shop', features: [] }));
const pipelineFile = join(mkdtempSync(join(tmpdir(), 'pipeline-')), 'pipeline.json');
const stages = [
  { name: 'chunk', work: { chunk: {} } },
  { name: 'embed', work: { embed: { model: 'm', dimensions: 8 } } },
];
writeFileSync(pipelineFile, JSON.stringify({ name: 'manual', stages, retrieval: {} }));
const env = {
  PATH: process.env.PATH,
  AWS_REGION: 'eu-west-1',
  TABLE_NAME: 'keys',
  FLEETS: '[]',
  BATCH_BUCKET: 'work',
  BATCH_TABLE: 'progress',
  WORK_QUEUE_URL: 'http://127.0.0.1:1/items',
  CONTROL_QUEUE_URL: 'http://127.0.0.1:1/control',
  DEAD_LETTER_QUEUE_URL: 'http://127.0.0.1:1/dead',
  METRICS_NAMESPACE: 'Test',
  STORE_URL: 'redis://127.0.0.1:1',
  POLICY_FILE: policyFile,
  FEATURES_FILE: featuresFile,
  FEATURE_STORE: 'shop',
  OFFLINE_BUCKET: 'offline',
  PIPELINE_FILE: pipelineFile,
  PIPELINE_NAME: 'manual-1',
  PIPELINE_BUCKET: 'versions',
  LANDING_BUCKET: 'landing',
  POINTER_TABLE: 'pointers',
  VECTOR_BUCKET: 'vectors',
  EMBEDDING_URL: 'https://models.example.com/v1',
};
const RUNTIME = 'globalThis.awslambda = { streamifyResponse: (handler) => handler };';

describe('each built handler', () => {
  it.each(readdirSync(HANDLERS))('%s is small, has its source map, and loads with nothing beside it', (name) => {
    const file = join(HANDLERS, name, 'index.mjs');
    expect(statSync(file).size).toBeLessThanOrEqual(300_000);
    expect(JSON.parse(readFileSync(`${file}.map`, 'utf8'))).toHaveProperty(['sources', 'length']);
    const script = `${RUNTIME} const { handler } = await import('${pathToFileURL(file).href}');
      console.log(typeof handler); process.exit()`;
    const { stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', script], {
      env: env,
      encoding: 'utf8',
    });
    expect({ last: stdout.trim().split('\n').at(-1), stderr }).toEqual({ last: 'function', stderr: '' });
  });
});
