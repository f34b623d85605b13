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
