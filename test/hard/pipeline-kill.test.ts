import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { cpSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { FilePointers } from '../../bin/pipeline/file-pointers';
import { FileStore } from '../../bin/pipeline/file-store';
import { seededRandom } from '../../bin/simulate/random';
import { currentVersion, recordsOf } from '../../lambda/data-pipeline/versions/read-published';
import { CliProcess } from '../end-to-end/processes';
import { AS_OF, order, ORDERS, PipelineSandbox } from './pipeline-corpus';
import { report } from './report';

const KILLS = Number(process.env.PIPELINE_KILLS ?? 20);
const RECORDS = Number(process.env.PIPELINE_KILL_RECORDS ?? 5000);
const SEED = Number(process.env.PIPELINE_KILL_SEED ?? 1);

jest.setTimeout(600_000);

/** Without the function, which would only cost time here. */
const CHECKED = { ...ORDERS, stages: ORDERS.stages.slice(0, 1) };

describe('a run that is cut off', () => {
  let sandbox: PipelineSandbox;
  beforeEach(() => {
    sandbox = new PipelineSandbox(CHECKED);
  });
  afterEach(() => {
    sandbox.remove();
  });

  function fill(variant: number, records: number): void {
    const random = seededRandom(SEED, variant + 10);
    const lines = Array.from(
      { length: records },
      (_, i) => `${JSON.stringify(order(variant * records + (i % 997 === 996 ? i - 5 : i), random))}\n`,
    );
    sandbox.write(`input/variant-${variant}.jsonl`, lines.join(''));
  }

  it(`leaves the version as it was, or the new one whole, killed ${KILLS} times at random points while readers poll`, async () => {
    const args = (out: string) => [
      'pipeline',
      'run',
      '--config',
      sandbox.path('pipeline.json'),
      '--input',
      sandbox.path('input'),
      '--output',
      out,
      '--as-of',
      AS_OF,
    ];
    /** What an undisturbed run of each variant publishes. */
    const expected = new Map<string, number>();
    const manifests = new Map<string, string>();
    let variant = 0;
    let undisturbedMs = 0;
    const next = async () => {
      fill(variant++, RECORDS);
      const clean = sandbox.path(`clean-${variant}`);
      const started = performance.now();
      const run = new CliProcess(args(clean));
      expect([await run.exitCode(), run.errors]).toEqual([0, '']);
      undisturbedMs = performance.now() - started;
      const [name = ''] = readdirSync(join(clean, 'orders/versions'));
      const manifest = readFileSync(join(clean, 'orders/versions', name), 'utf8');
      const version = name.replace('.json', '');
      expected.set(version, (JSON.parse(manifest) as { counts: { published: number } }).counts.published);
      manifests.set(version, manifest);
      return version;
    };
    const out = sandbox.path('out');
    const ports = { store: new FileStore(join(out, 'orders')), pointers: new FilePointers(join(out, 'orders')) };
    let target = await next();
    const random = seededRandom(SEED, 1);
    const tally = { kills: 0, finished: 0, polls: 0, versionsSeen: new Set<string>() };
    let isOver = false;
    const reader = (async () => {
      while (!isOver) {
        const published = await currentVersion(ports);
        if (published) {
          let records = 0;
          // Each part is checked against its hash as it is read.
          for await (const batch of recordsOf(published, ports.store)) records += batch.length;
          expect(records).toBe(expected.get(published.version));
          tally.versionsSeen.add(published.version);
        }
        tally.polls++;
        await sleep(5);
      }
    })();
    while (tally.kills < KILLS) {
      const run = new CliProcess(args(out));
      const code = await Promise.race([
        run.exitCode(),
        sleep(random() * 1.2 * undisturbedMs).then(() => 'late' as const),
      ]);
      if (code === 'late') {
        await run.end('SIGKILL');
        tally.kills++;
      } else {
        expect([code, run.errors]).toEqual([0, '']);
        tally.finished++;
        target = await next();
      }
    }
    const last = new CliProcess(args(out));
    expect([await last.exitCode(), last.errors]).toEqual([0, '']);
    isOver = true;
    await reader;
    const published = await currentVersion(ports);
    expect(published?.version).toBe(target);
    expect(readFileSync(join(out, `orders/versions/${target}.json`), 'utf8')).toBe(manifests.get(target));
    report('killed runs', { ...tally, versionsSeen: tally.versionsSeen.size, variants: variant, sameManifest: true });
  });

  it('ends with the same version wherever it was cut off: before or after each single write', async () => {
    fill(0, 60);
    const limits = { bytes: 4096, files: 10 };
    const before = await sandbox.run({ shardLimits: limits });
    fill(1, 60);
    const clean = await sandbox.run({ shardLimits: limits, output: sandbox.path('clean') });
    let cuts = 0;
    for (let operation = 0; ; operation++) {
      for (const isDone of [false, true]) {
        const output = sandbox.path(`cut-${operation}-${isDone}`);
        cpSync(sandbox.path('out'), output, { recursive: true });
        const isCut = await cutOff(operation, isDone, () => sandbox.run({ shardLimits: limits, output }));
        const ports = {
          store: new FileStore(join(output, 'orders')),
          pointers: new FilePointers(join(output, 'orders')),
        };
        const seen = await currentVersion(ports);
        let records = 0;
        for await (const batch of recordsOf(seen!, ports.store)) records += batch.length;
        expect([before.version, clean.version]).toContain(seen!.version);
        expect(records).toBe(seen!.manifest.counts.published);
        expect((await sandbox.run({ shardLimits: limits, output })).version).toBe(clean.version);
        expect((await currentVersion(ports))?.version).toBe(clean.version);
        if (!isCut) {
          report('cut at each write', { cuts });
          expect(cuts).toBeGreaterThan(40);
          return;
        }
        cuts++;
      }
    }
  });

  /** Runs until so many writes are done, then fails as a process that ends there: false where it ends before. */
  async function cutOff(operation: number, isDone: boolean, run: () => Promise<unknown>): Promise<boolean> {
    let count = 0;
    let isCut = false;
    class Cut extends Error {}
    const targets: readonly [Record<string, unknown>, string][] = [
      [FileStore.prototype as unknown as Record<string, unknown>, 'put'],
      [FileStore.prototype as unknown as Record<string, unknown>, 'delete'],
      [FilePointers.prototype as unknown as Record<string, unknown>, 'flip'],
    ];
    const originals = targets.map(
      ([prototype, method]) => prototype[method] as (...args: unknown[]) => Promise<unknown>,
    );
    targets.forEach(([prototype, method], i) => {
      prototype[method] = async function (this: unknown, ...args: unknown[]) {
        // What is dead writes nothing more.
        if (isCut) throw new Cut();
        if (count++ !== operation) return originals[i]!.apply(this, args);
        isCut = true;
        if (isDone) await originals[i]!.apply(this, args);
        throw new Cut();
      };
    });
    try {
      await run();
    } catch (error) {
      if (!(error instanceof Cut)) throw error;
    } finally {
      targets.forEach(([prototype, method], i) => (prototype[method] = originals[i]));
    }
    return isCut;
  }
});

describe('a run that is repeated', () => {
  it('gives the same manifest byte for byte, elsewhere and in whatever order the files are listed', async () => {
    const bytes: string[] = [];
    for (const names of [
      ['a', 'b', 'c'],
      ['c', 'a', 'b'],
    ]) {
      const sandbox = new PipelineSandbox(CHECKED);
      for (const name of names) {
        const random = seededRandom(SEED, name.charCodeAt(0));
        const lines = Array.from(
          { length: 500 },
          (_, i) => `${JSON.stringify(order(i * 3 + name.charCodeAt(0) - 97, random))}\n`,
        );
        sandbox.write(`input/${name}.jsonl`, lines.join(''));
      }
      const { version } = await sandbox.run();
      bytes.push(readFileSync(sandbox.path(`out/orders/versions/${version}.json`), 'utf8'));
      const again = await sandbox.run();
      expect([again.version, again.publication?.outcome]).toEqual([version, 'unchanged']);
      const changed = await sandbox.run({ code: 'another' });
      expect(changed.version).not.toBe(version);
      sandbox.remove();
    }
    expect(bytes[1]).toBe(bytes[0]);
  });
});
