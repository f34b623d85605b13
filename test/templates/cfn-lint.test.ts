import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { type Synthesis, synthesiseExamples, synthesiseReference, templatesIn } from './synthesise';

const SYNTHESIS_TIMEOUT_MS = 480_000;
const PROFILES = ['prod', 'dev'];
const EXAMPLES = readdirSync(resolve(import.meta.dirname, '..', '..', 'examples')).filter((file) =>
  file.endsWith('.ts'),
);

const folder = mkdtempSync(join(tmpdir(), 'templates-'));
const reference: Record<string, Synthesis> = {};
let examples: Synthesis;

beforeAll(() => {
  for (const profile of PROFILES) reference[profile] = synthesiseReference(profile, join(folder, profile));
  examples = synthesiseExamples(join(folder, 'examples'));
}, SYNTHESIS_TIMEOUT_MS);

afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

describe('synthesis without credentials, every template validated', () => {
  it.each(PROFILES)('prints nothing for the reference app, profile %s', (profile) => {
    expect(reference[profile]).toEqual({ status: 0, output: '' });
  });

  it('finds nothing in the examples', () => {
    expect({ ...examples, output: examples.output.split('\n').filter(Boolean).sort() }).toEqual({
      status: 0,
      output: EXAMPLES.map((file) => `${file.replace('.ts', '')}: clean`).sort(),
    });
  });
});

const missing = spawnSync('cfn-lint', ['--version']).status === 0 ? undefined : 'there is no cfn-lint on the PATH';
const required = process.env.REQUIRE_CFN_LINT === '1';
if (missing && !required) process.stdout.write(`cfn-lint over the templates skipped: ${missing}\n`);

(missing && !required ? describe.skip : describe)('cfn-lint', () => {
  it(
    'has nothing to say on any template',
    () => {
      expect(missing).toBeUndefined();
      const templates = templatesIn(folder);
      expect(templates.length).toBeGreaterThanOrEqual(PROFILES.length + EXAMPLES.length);
      const { status, stdout, stderr } = spawnSync('cfn-lint', ['--', ...templates], { encoding: 'utf8' });
      expect({ status, output: (stdout + stderr).slice(0, 10_000) }).toEqual({ status: 0, output: '' });
    },
    SYNTHESIS_TIMEOUT_MS,
  );
});
