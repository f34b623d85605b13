import { beforeEach, describe, expect, it } from '@jest/globals';
import type { PipelineDefinition } from '../../../lib/policy';
import { resolvePipeline } from '../../../lib/policy/pipeline/pipeline-defaults';
import type { ShardPlan } from '../../../lambda/data-pipeline/reading/shard-plan';
import { PipelineSteps, type RunFiles } from '../../../lambda/data-pipeline/running/steps';
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

  const stepsOf = (definition: PipelineDefinition = ITEMS) =>
    new PipelineSteps({
      ...{ ...ports, pipeline: resolvePipeline(definition), spill: new MemorySpill(), work: {}, code: 'test' },
      references: () => Promise.resolve({ sets: new Map(), digests: [] }),
      golden: () => Promise.resolve([]),
      shardLimits: { bytes: 16, files: 10 },
    });

  async function audited(steps: PipelineSteps, files: RunFiles) {
    const planned = await steps.plan({}, files);
    const plans = ports.store.objects.get(planned.plan)!.toString().trim().split('\n');
    const shards = plans.map((line) => JSON.parse(line) as ShardPlan);
    await steps.shards(planned.run, shards, files);
    return { ...planned, version: (await steps.audit(planned.run)).version, plans: shards };
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
});
