import { FaultAction } from '../../../lib/policy';
import type { ResolvedPipeline } from '../../../lib/policy/pipeline/pipeline-defaults';
import { digestOf } from '../digest';
import { mergeProfiles, type Profile } from '../monitors/profile';
import type { Embedding, ObjectStore } from '../storage';
import type { Manifest, ObjectReference, StageAccount } from '../versions/manifest';
import { PipelineStopped } from './run-batch';
import { linesOfObject } from './line-object';
import { putProfile } from './shard-output';
import { READING, type ShardSummary } from './shard-summary';
import { uniqueKeysOf } from './rule-checks';
import { duplicatesOf, findDuplicates, type Spill } from './uniqueness';
import { withoutDuplicates } from './without-records';

/** What a version is made of, beside its shards. */
export interface VersionIngredients {
  readonly pipeline: ResolvedPipeline;
  /** Digest of the code that ran. */
  readonly code: string;
  /** ISO 8601. */
  readonly asOf?: string;
  readonly parents: readonly string[];
  readonly inputs: ObjectReference;
  readonly references: readonly { readonly name: string; readonly digest: string }[];
}

/** Where things are while a run is finished. */
export interface FinishPorts {
  readonly store: ObjectStore;
  readonly spill: Spill;
}

/** A version that is written but not published, and whether it may be. */
export interface AuditedVersion {
  readonly manifest: Manifest;
  readonly profile: Profile;
  readonly faultRate: number;
  /** Why it must not be published; undefined where it may. */
  readonly held?: string;
}

/**
 * Audits what the shards gave, and writes the version's manifest to memory: rules of uniqueness, counts, fault rate. Publishes
 * nothing.
 *
 * @throws PipelineStopped where a duplicate breaks a stage that stops on faults
 */
export async function auditRun(
  summaries: readonly ShardSummary[],
  ingredients: VersionIngredients,
  ports: FinishPorts,
): Promise<AuditedVersion> {
  const { pipeline } = ingredients;
  const { store } = ports;
  const shards = await uniqueShards(summaries, pipeline, ports);
  let profile: Profile = { records: 0, given: {}, fields: {} };
  for (const shard of shards) {
    const [own] = await linesOfObject(store, shard.profile);
    profile = mergeProfiles(profile, JSON.parse(own!) as Profile);
  }
  const sum = (of: (shard: ShardSummary) => number) => shards.reduce((total, shard) => total + of(shard), 0);
  const counts = {
    read: sum(({ read }) => read),
    published: sum(({ part }) => part.records),
    quarantined: sum(({ quarantine }) => quarantine.records),
    faulty: sum(({ faulty }) => faulty),
  };
  const embed = pipeline.stages.findLast(({ work }) => work.kind === 'embed')?.work;
  const manifest: Manifest = {
    format: 1,
    pipeline: pipeline.name,
    definition: digestOf(pipeline),
    code: ingredients.code,
    ...(ingredients.asOf !== undefined && { asOf: ingredients.asOf }),
    parents: ingredients.parents,
    inputs: ingredients.inputs,
    references: ingredients.references,
    counts,
    reading: addUp(shards.map(({ faults }) => faults[READING] ?? {})),
    stages: pipeline.stages.map((_, i) => accountOf(pipeline, i, shards)),
    ...(embed?.kind === 'embed' && { embedding: embeddingOf(embed) }),
    schema: pipeline.stages.at(-1)!.contract.output as Readonly<Record<string, unknown>>,
    shards,
    profile: await putProfile(store, profile),
  };
  const faultRate = counts.read === 0 ? 0 : counts.faulty / counts.read;
  return { manifest, profile, faultRate, ...heldFor(counts, faultRate, pipeline.mostFaultRate) };
}

function embeddingOf({ model, dimensions, requestDimensions }: Required<Embedding>): Embedding {
  return { model, dimensions, requestDimensions };
}

function heldFor(counts: Manifest['counts'], faultRate: number, most: number): { held?: string } {
  if (counts.read === 0) return { held: 'nothing was read' };
  if (faultRate <= most) return {};
  const percent = (share: number) => `${(share * 100).toFixed(share < 0.01 ? 3 : 1)} %`;
  return {
    held: `${counts.faulty} of ${counts.read} records are at fault, ${percent(faultRate)}, where mostFaultRate is ${percent(most)}`,
  };
}

/**
 * What the shards gave, less the duplicates. Nothing is left in the spill, however this ends: to the next audit in the same
 * process, keys of this one would be earlier records.
 */
async function uniqueShards(
  summaries: readonly ShardSummary[],
  pipeline: ResolvedPipeline,
  ports: FinishPorts,
): Promise<ShardSummary[]> {
  try {
    const touched = await findDuplicates(summaries, pipeline, ports.store, ports.spill);
    const shards: ShardSummary[] = [];
    for (const summary of summaries) {
      shards.push(touched.has(summary.index) ? await purged(summary, pipeline, ports) : summary);
    }
    return shards;
  } finally {
    await ports.spill.clear();
  }
}

async function purged(summary: ShardSummary, pipeline: ResolvedPipeline, ports: FinishPorts): Promise<ShardSummary> {
  const duplicates = await duplicatesOf(summary.index, ports.spill);
  for (const { stage, rule, place } of [...duplicates.values()].flat()) {
    const { name, onFault } = pipeline.stages[stage]!;
    if (onFault !== FaultAction.STOP) continue;
    const { file, offset } = place;
    throw new PipelineStopped(
      `stage "${name}", rule "${rule}": ${file} at byte ${offset} has the key of an earlier record`,
    );
  }
  return withoutDuplicates(summary, duplicates, pipeline, ports.store);
}

function accountOf(pipeline: ResolvedPipeline, index: number, shards: readonly ShardSummary[]): StageAccount {
  const { name, contract, rules } = pipeline.stages[index]!;
  const counts = shards.map(({ stages }) => stages[index]!);
  const sum = (field: 'in' | 'out' | 'quarantined') => counts.reduce((total, stage) => total + stage[field], 0);
  return {
    name,
    inputSchema: digestOf(contract.input),
    outputSchema: digestOf(contract.output),
    unique: uniqueKeysOf(rules),
    in: sum('in'),
    out: sum('out'),
    quarantined: sum('quarantined'),
    faults: addUp(shards.map(({ faults }) => faults[name] ?? {})),
    found: addUp(counts.map(({ found }) => found)),
  };
}

/** Adds counts up by name. */
export function addUp(counts: readonly Readonly<Record<string, number>>[]): Record<string, number> {
  const total: Record<string, number> = {};
  for (const each of counts) {
    for (const [name, count] of Object.entries(each)) total[name] = (total[name] ?? 0) + count;
  }
  return total;
}
