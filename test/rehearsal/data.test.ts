import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { spawnSync } from 'node:child_process';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { Account } from './account';
import { Cloud, whatIsMissing } from './cloud';
import { environmentWithoutAws } from './without-aws';

const ROOT = resolve(__dirname, '../..');
const REHEARSAL_TIMEOUT_MS = 300_000;

const missing = whatIsMissing();
const required = process.env.REQUIRE_REHEARSAL === '1';
if (missing && !required) process.stdout.write(`deploy rehearsal of data skipped: ${missing}\n`);

(missing && !required ? describe.skip : describe)(
  'pipelines and feature stores, deployed to an account in moto',
  () => {
    const cloud = new Cloud();
    const stacks = { 'data-pipeline': 'Orders', 'feature-store': 'Features' };
    let account: Account;

    beforeAll(async () => {
      if (missing) throw new Error(missing);
      const names = Object.keys(stacks);
      const synthesis = spawnSync(process.execPath, [join(ROOT, 'examples/synthesise.mjs'), cloud.assembly, ...names], {
        env: environmentWithoutAws(),
        encoding: 'utf8',
      });
      expect(synthesis.stdout).toBe(names.map((name) => `${name}: clean\n`).join(''));
      await cloud.start();
      await cloud.cdk('bootstrap');
      for (const [example, stack] of Object.entries(stacks)) {
        await cloud.cdk('deploy', stack, '--require-approval', 'never', '--app', join(cloud.assembly, example));
      }
      account = await cloud.account();
    }, REHEARSAL_TIMEOUT_MS);

    afterAll(() => cloud.stop());

    it('deploy without an error in moto', () => {
      process.stdout.write(`data: types that moto does not know: ${cloud.skippedTypes.join(' ')}\n`);
      expect(cloud.troubles).toBe('');
      for (const name of Object.values(stacks)) {
        expect(account.stacks.find(({ StackName }) => StackName === name)?.StackStatus).toBe('CREATE_COMPLETE');
      }
    });

    it('tell each function of a pipeline where it reads, writes and keeps the pointer', () => {
      const tables = account.tables.map(({ TableName }) => TableName);
      const functions = account.functions.filter(({ Environment }) => Environment?.Variables.PIPELINE_BUCKET);
      expect(functions).toHaveLength(3);
      for (const { Environment, Layers } of functions) {
        expect(tables).toContain(Environment.Variables.POINTER_TABLE);
        expect(Environment.Variables.LANDING_BUCKET).not.toBe(Environment.Variables.PIPELINE_BUCKET);
        expect(Layers).toHaveLength(1);
      }
    });

    it('tell each function of a feature store its bucket, and those that serve its table', () => {
      const functions = account.functions.filter(({ Environment }) => Environment?.Variables.FEATURE_STORE);
      expect(functions).toHaveLength(4);
      expect(new Set(functions.map(({ Environment }) => Environment.Variables.OFFLINE_BUCKET)).size).toBe(1);
      expect(functions.filter(({ Environment }) => Environment.Variables.ONLINE_TABLE)).toHaveLength(3);
    });

    it('bring the definition to the functions as it was written', () => {
      const assets = JSON.parse(readFileSync(join(cloud.assembly, 'feature-store/Features.template.json'), 'utf8')) as {
        Resources: Record<string, { Type: string; Metadata?: { Definition?: { name: string } } }>;
      };
      const layers = Object.values(assets.Resources).filter(({ Metadata }) => Metadata?.Definition);
      expect(layers.map(({ Metadata }) => Metadata!.Definition!.name)).toEqual(['shop']);
    });
  },
);
