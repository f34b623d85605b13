import { beforeEach, describe, expect, it } from '@jest/globals';
import { FaultAction, type PipelineDefinition } from '../../../lib/policy';
import { resolvePipeline } from '../../../lib/policy/pipeline/pipeline-defaults';
import { NotYetScanned, UncleanFile } from '../../../lambda/data-pipeline/reading/file-scan';
import { MOST_LINE_BYTES, type ShardPlan } from '../../../lambda/data-pipeline/reading/shard-plan';
import { legsOf } from '../../../lambda/data-pipeline/running/legs';
import { linesOfObject } from '../../../lambda/data-pipeline/running/line-object';
import type { QuarantineEntry } from '../../../lambda/data-pipeline/running/shard-output';
import { manifestOf } from '../../../lambda/data-pipeline/running/staging';
import { PipelineSteps, type RunFiles } from '../../../lambda/data-pipeline/running/steps';
import type { RunRequest } from '../../../lambda/data-pipeline/running/run-request';
import type { WorkPorts } from '../../../lambda/data-pipeline/stages/bundled';
import type { Manifest } from '../../../lambda/data-pipeline/versions/manifest';
import { rollBack } from '../../../lambda/data-pipeline/versions/publish';
import { MemoryFiles, MemoryPointers, MemorySpill, MemoryStore } from './memory-store';

const DAY_MS = 86_400_000;

const ITEMS: PipelineDefinition = {
  name: 'items',
  stages: [
    {
      name: 'check',
      work: { check: {} },
      input: { type: 'object', properties: { id: { type: 'string' } }, required: ['id'] },
      rules: [{ name: 'one-id-each', unique: ['id'] }],
    },
  ],
  mostFaultRate: 0.5,
};

/** The files of a run, of which none changes. */
function landed(contents: Readonly<Record<string, string>>): RunFiles {
  const files = new MemoryFiles(
    Object.fromEntries(Object.entries(contents).map(([name, text]) => [name, Buffer.from(text)])),
  );
  return {
    read: (name, from, to) => files.read(name, from, to),
    list: (isWanted) => Promise.resolve(files.list().filter(({ name }) => isWanted(name))),
    expect: () => undefined,
  };
}

/** Room that fails once, when so many lists were written to it. */
class FailingOnce extends MemorySpill {
  public constructor(private left: number) {
    super();
  }

  public override async append(name: string, lines: readonly string[]): Promise<void> {
    if (this.left-- === 0) throw new Error('no space left on device');
    await super.append(name, lines);
  }
}

describe('the steps of a run', () => {
  let ports: { store: MemoryStore; pointers: MemoryPointers };
  beforeEach(() => {
    ports = { store: new MemoryStore(), pointers: new MemoryPointers() };
  });

  const stepsOf = (definition: PipelineDefinition = ITEMS, work: WorkPorts = {}, spill = new MemorySpill()) =>
    new PipelineSteps({
      active: new MemoryPointers(),
      ...{ ...ports, pipeline: resolvePipeline(definition), spill, work, code: 'test' },
      references: () => Promise.resolve({ sets: new Map(), digests: [] }),
      golden: () => Promise.resolve([]),
      shardLimits: { bytes: 11, files: 10 },
    });

  async function planned(steps: PipelineSteps, files: RunFiles, request: RunRequest = {}) {
    const plan = await steps.plan(request, files);
    const lines = ports.store.objects.get(plan.plan)!.toString().trim().split('\n');
    return { ...plan, plans: lines.map((line) => JSON.parse(line) as ShardPlan) };
  }

  async function audited(steps: PipelineSteps, files: RunFiles, request: RunRequest = {}) {
    const { run, sequence, plans } = await planned(steps, files, request);
    await steps.shards(run, plans, files);
    return { run, sequence, ...(await steps.audit(run)) };
  }

  const ONE = landed({ 'a.jsonl': '{"id":"a"}\n{"id":"b"}\n' });
  const TWO = landed({ 'a.jsonl': '{"id":"a"}\n{"id":"c"}\n' });

  it('may publish again what was tidied away: the version is published, and nothing is written', async () => {
    const steps = stepsOf();
    const { run, sequence, version } = await audited(steps, ONE);
    expect(await steps.publish(run, sequence)).toEqual({ outcome: 'published', version });
    expect(await steps.publish(run, sequence)).toEqual({ outcome: 'unchanged', version });
    await steps.tidy(run);
    const before = [...ports.store.objects.keys()];
    expect(await steps.publish(run, sequence)).toEqual({ outcome: 'unchanged', version });
    await steps.tidy(run);
    expect([...ports.store.objects.keys()]).toEqual(before);
    expect(ports.pointers.list).toHaveLength(1);

    const next = await audited(steps, TWO);
    await steps.publish(next.run, next.sequence);
    expect(await steps.publish(run, sequence)).toEqual({ outcome: 'overtaken', version, by: next.version });
  });

  it('audits again after a failure, in the same process, without taking a record for a duplicate of itself', async () => {
    const steps = stepsOf(ITEMS, {}, new FailingOnce(1));
    const { run, plans } = await planned(steps, ONE);
    expect(plans.length).toBeGreaterThan(1);
    await steps.shards(run, plans, ONE);
    await expect(steps.audit(run)).rejects.toThrow('no space left');
    expect(await steps.audit(run)).toMatchObject({ isHeld: false, faultRate: 0 });
  });

  it('do not take for published what never was, or what was before the version that the run began from', async () => {
    const steps = stepsOf();
    const { run, sequence, version } = await audited(steps, ONE);
    await expect(steps.publish('0'.repeat(32), 0)).rejects.toThrow(`the run ${'0'.repeat(32)} has no audited version`);
    await steps.publish(run, sequence);
    await steps.tidy(run);
    // The same input again changes nothing.
    expect(await steps.publish(run, 1)).toEqual({ outcome: 'unchanged', version });
    const next = await audited(steps, TWO);
    await steps.publish(next.run, next.sequence);
    await expect(steps.publish(run, 2)).rejects.toThrow('has no audited version to publish');
  });

  it('end for good where a record stops the run: the audit says why, and another start tries again', async () => {
    const steps = stepsOf({ ...ITEMS, stages: [{ ...ITEMS.stages[0]!, onFault: FaultAction.STOP }] });
    const reason = 'stage "check", rule "input": a.jsonl at byte 11 id is required';
    const files = landed({ 'a.jsonl': '{"id":"a"}\n{"no":"b"}\n{"id":"c"}\n' });
    await expect(audited(steps, files)).rejects.toMatchObject({ name: 'PipelineStopped', message: reason });
    const { run, plans } = await planned(steps, files);
    await steps.shards(run, plans.slice(0, 1), files).catch(() => undefined);
    await expect(steps.shards(run, plans.slice(1), files)).rejects.toMatchObject({ message: reason });
    // Shards after it are not begun, and the audit does not count what is there.
    await expect(steps.shards(run, plans.slice(2), files)).rejects.toMatchObject({ name: 'PipelineStopped' });
    await expect(steps.audit(run)).rejects.toMatchObject({ name: 'PipelineStopped', message: reason });
    const again = await planned(steps, files);
    expect(await steps.shards(again.run, again.plans.slice(0, 1), files)).toMatchObject({ read: 1 });
  });

  it('redrive more records than one item of the map has room for, each once', async () => {
    const name = `${'long/'.repeat(60)}a.jsonl`;
    const files = landed({ [name]: Array.from({ length: 1500 }, (_, i) => `{"no":${i}}\n`).join('') });
    const steps = new PipelineSteps({
      ...{ ...ports, active: new MemoryPointers(), pipeline: resolvePipeline(ITEMS), spill: new MemorySpill() },
      ...{ work: {}, code: 'test', golden: () => Promise.resolve([]) },
      references: () => Promise.resolve({ sets: new Map(), digests: [] }),
    });
    const { version } = await audited(steps, files);
    const plan = await steps.plan({ redrive: version }, files);
    const lines = ports.store.objects.get(plan.plan)!.toString().trim().split('\n');
    expect(Math.max(...lines.map((line) => line.length + 1))).toBeLessThanOrEqual(MOST_LINE_BYTES);
    const shards = lines.map((line) => JSON.parse(line) as ShardPlan);
    expect(shards.map(({ index }) => index)).toEqual(shards.map((_, i) => i + 1));
    const offsets = shards.flatMap(({ ranges }) => ranges.map(({ from }) => from));
    expect([offsets.length, new Set(offsets).size]).toEqual([1500, 1500]);
    await steps.shards(plan.run, shards, files);
    expect((await steps.audit(plan.run)).counts).toMatchObject({ read: 1500, faulty: 1500 });
  });

  it('leave nothing of runs that were held or purged of duplicates, once they cannot be redriven any more', async () => {
    const steps = stepsOf({ ...ITEMS, retention: { versions: 1, quarantineDays: 7 } });
    const held = await audited(steps, landed({ 'a.jsonl': '{"id":"h"}\n{"no":"b"}\n{"no":"c"}\n' }));
    const doubled = landed({ 'a.jsonl': '{"id":"a"}\n{"id":"a"}\n{"id":"d"}\n' });
    const published = await audited(steps, doubled);
    await steps.publish(published.run, published.sequence);
    const orphans = () => {
      const texts = [...ports.store.objects].filter(([key]) => !key.startsWith('objects/'));
      const named = new Set(texts.flatMap(([, text]) => text.toString().match(/[0-9a-f]{64}/g) ?? []));
      return [...ports.store.objects.keys()].filter((key) => key.startsWith('objects/') && !named.has(key.slice(-64)));
    };
    const began = ports.store.now;
    await steps.tidy(published.run, began + 6 * DAY_MS);
    expect(orphans()).toEqual([]);
    await steps.plan({ redrive: held.version }, landed({ 'a.jsonl': '{"id":"h"}\n{"no":"b"}\n{"no":"c"}\n' }));

    await steps.tidy(published.run, began + 8 * DAY_MS);
    expect([...ports.store.objects.keys()].filter((key) => key.startsWith('staging/'))).toEqual([]);
    expect(orphans()).toEqual([]);
    expect([...ports.store.objects].filter(([, content]) => content.includes('"h"'))).toEqual([]);
    await expect(steps.plan({ redrive: held.version }, doubled)).rejects.toThrow('there is no version');
  });

  it('keep what a run has left that was started again since', async () => {
    const steps = stepsOf({ ...ITEMS, retention: { quarantineDays: 7 } });
    const { run, plans } = await planned(steps, ONE);
    await steps.shards(run, plans, ONE);
    ports.store.now += 6 * DAY_MS;
    await planned(steps, ONE);
    const next = await audited(steps, TWO);
    await steps.publish(next.run, next.sequence);
    await steps.tidy(next.run, ports.store.now + 2 * DAY_MS);
    expect((await steps.audit(run)).isHeld).toBe(false);
  });

  it('do not publish again what was rolled back from, unless the run is asked to', async () => {
    const steps = stepsOf();
    const one = await audited(steps, ONE);
    await steps.publish(one.run, one.sequence);
    const two = await audited(steps, TWO);
    await steps.publish(two.run, two.sequence);
    await rollBack(undefined, ports);
    const again = await audited(steps, TWO);
    const history = ports.store.objects.size;
    expect(await steps.publish(again.run, again.sequence)).toEqual({ outcome: 'rolledBack', version: two.version });
    expect(ports.store.objects.size).toBe(history);
    expect(await steps.publish(again.run, again.sequence, true)).toMatchObject({ outcome: 'published' });
  });

  it('keep nothing of a version that lacks a shard, which a redrive would publish without it', async () => {
    const steps = stepsOf();
    const files = landed({ 'a.jsonl': '{"id":"a"}\n{"no":"b"}\n{"id":"c"}\n' });
    const { run, plans } = await planned(steps, files);
    await steps.shards(run, plans.slice(0, 2), files);
    const { version, held } = await steps.audit(run);
    expect(held).toBe('1 of 3 shards failed: start the run again');
    await expect(steps.plan({ redrive: version }, files)).rejects.toThrow(`there is no version ${version}`);
    await expect(steps.publish(run, 0)).rejects.toThrow('has no audited version');
    await steps.shards(run, plans, files);
    expect(await steps.audit(run)).toMatchObject({ isHeld: false, counts: { read: 3, published: 2, quarantined: 1 } });
  });

  describe('with a file that a malware scan keeps from being read', () => {
    const clean = landed({ 'a.jsonl': '{"id":"a"}\n{"no":"b"}\n', 'b.jsonl': '{"id":"c"}\n' });
    const unclean: RunFiles = {
      ...clean,
      async *read(name, from, to) {
        if (name === 'b.jsonl') throw new UncleanFile('FAILED');
        yield* clean.read(name, from, to);
      },
    };
    // Two of three are at fault.
    const steps = () => stepsOf({ ...ITEMS, mostFaultRate: 0.9 });
    const entriesOf = async (version: string) => {
      const { shards } = await manifestOf(version, ports.store);
      const lines = await Promise.all(shards.map(({ quarantine }) => linesOfObject(ports.store, quarantine)));
      return lines.flat().map((line) => JSON.parse(line) as QuarantineEntry);
    };

    it('go on without it, and leave it in quarantine where the others run again', async () => {
      const { run, sequence, version } = await audited(steps(), unclean);
      expect(await steps().publish(run, sequence)).toMatchObject({ outcome: 'published' });
      const scan = { file: 'b.jsonl', offset: 0, bytes: 11, stage: 'read', rule: 'scan', branch: '', ordinal: 0 };
      const entry = { ...scan, reason: 'is not clean: the malware scan says FAILED' };
      expect(await entriesOf(version)).toEqual([expect.objectContaining({ file: 'a.jsonl', rule: 'input' }), entry]);

      const lenient = stepsOf({
        ...{ ...ITEMS, mostFaultRate: 0.9 },
        stages: [{ ...ITEMS.stages[0]!, input: { type: 'object' } }],
      });
      const again = await lenient.plan({ redrive: version }, unclean);
      expect(again.shards).toBe(1);
      const plans = ports.store.objects.get(again.plan)!.toString().trim().split('\n');
      await lenient.shards(
        again.run,
        plans.map((line) => JSON.parse(line) as ShardPlan),
        unclean,
      );
      const audit = await lenient.audit(again.run);
      expect(audit.counts).toEqual({ read: 3, published: 2, quarantined: 1, faulty: 1 });
      await lenient.publish(again.run, 1);
      expect(await entriesOf(audit.version)).toEqual([entry]);
      expect((await manifestOf(audit.version, ports.store)).reading).toEqual({ scan: 1 });
      await expect(lenient.plan({ redrive: audit.version }, unclean)).rejects.toThrow(
        `version ${audit.version} has no record in quarantine that can run again`,
      );
    });

    it('read it once it was scanned anew, also where the run begins again that it has held back', async () => {
      const strict = stepsOf({ ...ITEMS, mostFaultRate: 0.4 });
      const { run, plans } = await planned(strict, unclean);
      await strict.shards(run, plans, unclean);
      expect(await strict.audit(run)).toMatchObject({ isHeld: true, counts: { read: 3, faulty: 2 } });
      const again = await planned(strict, clean);
      expect(again.run).toBe(run);
      await strict.shards(run, again.plans, clean);
      expect(await strict.audit(run)).toMatchObject({ isHeld: false, counts: { read: 3, published: 2, faulty: 1 } });
    });

    it('wait for its scan where that has not come: the shard fails by a name, and is not done', async () => {
      const early: RunFiles = {
        ...clean,
        read: () => {
          throw new NotYetScanned('the file b.jsonl is not scanned yet');
        },
      };
      const { run, plans } = await planned(steps(), early);
      await expect(steps().shards(run, plans, early)).rejects.toMatchObject({ name: 'NotYetScanned' });
      await steps().shards(run, plans, clean);
      expect(await steps().audit(run)).toMatchObject({ isHeld: false, counts: { read: 3, published: 2 } });
    });
  });

  it('put aside what no index takes, before anything is published', async () => {
    const output = {
      type: 'object',
      properties: {
        id: { type: 'string', minLength: 1 },
        text: { type: ['string', 'null'] },
        embedding: { type: 'array', items: { type: 'number' } },
      },
      required: ['id', 'embedding'],
    };
    const check = { name: 'check', work: { check: {} }, input: output, output };
    const embed = { name: 'embed', work: { embed: { model: 'm', dimensions: 2 } }, output: { type: 'object' } };
    const definition: PipelineDefinition = { ...ITEMS, mostFaultRate: 1, retrieval: {}, stages: [embed, check] };
    const steps = new PipelineSteps({
      active: new MemoryPointers(),
      ...{ ...ports, pipeline: resolvePipeline(definition), spill: new MemorySpill(), code: 'test' },
      work: {
        embed: () => ({
          embed: (texts) => Promise.resolve(texts.map((text) => (text === 'zero' ? [0, 0] : [1e-3, text.length]))),
        }),
      },
      references: () => Promise.resolve({ sets: new Map(), digests: [] }),
      golden: () => Promise.resolve([]),
    });
    const records = [
      { id: 'a', text: 'small' },
      { id: 'b'.repeat(1025), text: 'small' },
      { id: 'c', text: 'ü'.repeat(19_000) },
      { id: 'd', text: 'ü'.repeat(20_000) },
      { id: 'e', text: 'zero' },
    ];
    const files = landed({ 'a.jsonl': records.map((record) => `${JSON.stringify(record)}\n`).join('') });
    const { run, plans } = await planned(steps, files);
    await steps.shards(run, plans, files);
    expect(await steps.audit(run)).toMatchObject({ isHeld: false, counts: { read: 5, published: 2, quarantined: 3 } });
    await steps.publish(run, 0);
    const { version } = ports.pointers.list[0]!;
    const manifest = JSON.parse(ports.store.objects.get(`versions/${version}.json`)!.toString()) as Manifest;
    expect(manifest.stages[1]).toMatchObject({ name: 'check', quarantined: 3, faults: { retrieval: 3 } });
    const lines = await linesOfObject(ports.store, manifest.shards[0]!.quarantine);
    expect(lines.map((line) => (JSON.parse(line) as { reason: string }).reason)).toEqual([
      'id has 1025 characters, where an index takes 1024',
      'retrieval.fields have 40011 bytes, where an index takes 40000: keep fewer fields, or cut smaller pieces',
      'embedding is all zeros, which has no angle to anything',
    ]);
  });

  it('hold to what an index takes only what comes out of the last leg', () => {
    const anything = { type: 'object' };
    const job = { name: 'job', work: { glueJob: { name: 'job' } }, input: anything, output: anything };
    const embed = { name: 'embed', work: { embed: { model: 'm', dimensions: 2 } } };
    const legs = legsOf(resolvePipeline({ ...ITEMS, retrieval: {}, stages: [ITEMS.stages[0]!, job, embed] }));
    expect(legs.map(({ retrieval }) => retrieval?.dimensions)).toEqual([undefined, 2]);
  });

  it('find what another has published that was at work on the same run, whichever step they come to', async () => {
    const steps = stepsOf();
    const other = await planned(steps, ONE);
    const { run, sequence, version } = await audited(steps, ONE);
    expect(other.run).toBe(run);
    await steps.publish(run, sequence);
    await steps.tidy(run);
    expect(await steps.shards(run, other.plans, ONE)).toEqual({ read: 0, seconds: {} });
    expect(await steps.audit(run)).toMatchObject({ version, isHeld: false, faultRate: 0, counts: { published: 2 } });
    expect(await steps.publish(run, other.sequence)).toEqual({ outcome: 'unchanged', version });
    for (const step of [steps.shards('0'.repeat(32), other.plans, ONE), steps.audit('0'.repeat(32))]) {
      await expect(step).rejects.toThrow(`there is no run ${'0'.repeat(32)}`);
    }
  });

  it('run records again, each time that a redrive is started, that were at fault for what no definition says', async () => {
    let isDown = true;
    const work: WorkPorts = {
      function: () => (records) => {
        const isRefused = (id: unknown) => isDown && id === 'b';
        const results = records.map((record) => (isRefused(record.id) ? { fault: 'down' } : { records: [record] }));
        return Promise.resolve({ results });
      },
    };
    const object = { type: 'object' };
    const ask = { name: 'ask', work: { function: { name: 'ask' } }, input: object, output: object };
    const steps = stepsOf({ ...ITEMS, stages: [ask] }, work);
    const { run, sequence, version } = await audited(steps, ONE);
    await steps.publish(run, sequence);
    const held = { isHeld: true, held: `nothing came through that version ${version} lacks` };
    expect(await audited(steps, ONE, { redrive: version })).toMatchObject(held);
    expect(await audited(steps, ONE, { redrive: version })).toMatchObject(held);
    isDown = false;
    expect(await audited(steps, ONE, { redrive: version })).toMatchObject({
      isHeld: false,
      counts: { read: 2, published: 2, quarantined: 0 },
    });
  });
});
