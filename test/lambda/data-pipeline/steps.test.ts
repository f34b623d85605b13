import { beforeEach, describe, expect, it } from '@jest/globals';
import { FaultAction, type PipelineDefinition } from '../../../lib/policy';
import { resolvePipeline } from '../../../lib/policy/pipeline/pipeline-defaults';
import type { ShardPlan } from '../../../lambda/data-pipeline/reading/shard-plan';
import { PipelineSteps, type RunFiles, type RunRequest } from '../../../lambda/data-pipeline/running/steps';
import type { WorkPorts } from '../../../lambda/data-pipeline/stages/bundled';
import { MemoryFiles, MemoryPointers, MemorySpill, MemoryStore } from './memory-store';

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

describe('the steps of a run', () => {
  let ports: { store: MemoryStore; pointers: MemoryPointers };
  beforeEach(() => {
    ports = { store: new MemoryStore(), pointers: new MemoryPointers() };
  });

  const stepsOf = (definition: PipelineDefinition = ITEMS, work: WorkPorts = {}) =>
    new PipelineSteps({
      active: new MemoryPointers(),
      ...{ ...ports, pipeline: resolvePipeline(definition), spill: new MemorySpill(), work, code: 'test' },
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
