import type { ResolvedPipeline } from '../../../lib/policy/pipeline/pipeline-defaults';
import { canonical } from '../../../lib/policy/pipeline/schema-check';
import { sha256 } from '../digest';
import { type Profile, ProfileBuilder } from '../monitors/profile';
import type { Place } from '../reading/source-record';
import type { Findings } from '../stages/work';
import type { ObjectStore } from '../storage';
import { type ObjectReference, objectKey } from '../versions/manifest';
import type { BatchOutput, Item, QuarantinedRecord, UniqueKey } from './run-batch';
import { READING, type ShardSummary } from './shard-summary';

/** An entry of the quarantine as it is kept: with the number of its source record within the shard. */
export type QuarantineEntry = QuarantinedRecord & { readonly ordinal: number };

/** Where a line of a part comes from. */
export type Origin = readonly [file: string, offset: number, ordinal: number, branch: string];

/** Takes what a shard gives, and writes it when the shard is done. */
export class ShardOutput implements BatchOutput {
  private readonly lines: string[] = [];
  private readonly origins: string[] = [];
  private readonly entries: string[] = [];
  private readonly keys: string[] = [];
  private readonly faulty = new Set<number>();
  private readonly faults: Record<string, Record<string, number>> = {};
  private readonly stages: { in: number; out: number; quarantined: number; found: Findings }[];
  private readonly profile: ProfileBuilder;
  private readonly timeField: string | undefined;

  constructor(pipeline: ResolvedPipeline) {
    this.stages = pipeline.stages.map(() => ({ in: 0, out: 0, quarantined: 0, found: {} }));
    this.profile = new ProfileBuilder(pipeline);
    this.timeField = pipeline.source.timeField;
  }

  /** {@inheritDoc BatchOutput.quarantine} */
  public quarantine(record: QuarantinedRecord, ordinal: number): void {
    this.faulty.add(ordinal);
    const rules = (this.faults[record.stage] ??= {});
    rules[record.rule] = (rules[record.rule] ?? 0) + 1;
    this.entries.push(JSON.stringify({ ...record, ordinal } satisfies QuarantineEntry));
  }

  /** Sets aside what could not be read. */
  public unreadable(place: Place, ordinal: number, rule: string, reason: string): void {
    this.quarantine({ ...place, stage: READING, rule, reason, branch: '' }, ordinal);
  }

  /** {@inheritDoc BatchOutput.key} */
  public key({ stage, rule, hash, place, ordinal, branch }: UniqueKey): void {
    this.keys.push(`${stage} ${rule} ${hash} ${ordinal} ${branch} ${place.offset} ${place.bytes} ${place.file}`);
  }

  /** {@inheritDoc BatchOutput.count} */
  public count(
    stage: number,
    counts: { readonly in: number; readonly out: number; readonly quarantined: number },
  ): void {
    const total = this.stages[stage]!;
    total.in += counts.in;
    total.out += counts.out;
    total.quarantined += counts.quarantined;
  }

  /** {@inheritDoc BatchOutput.found} */
  public found(stage: number, findings: Findings): void {
    const { found } = this.stages[stage]!;
    for (const [kind, count] of Object.entries(findings)) found[kind] = (found[kind] ?? 0) + count;
  }

  /** Takes a record that came through. */
  public publish({ record, place, ordinal, branch }: Item): void {
    const time = timeOf(record[this.timeField ?? '']);
    this.lines.push(JSON.stringify(record));
    this.origins.push(JSON.stringify([place.file, place.offset, ordinal, branch] satisfies Origin));
    this.profile.add(record, time);
  }

  /** Writes everything. */
  public async write(
    store: ObjectStore,
    shard: { readonly index: number; readonly read: number },
  ): Promise<ShardSummary> {
    return {
      ...shard,
      faulty: this.faulty.size,
      stages: this.stages,
      faults: this.faults,
      part: await putLines(store, this.lines),
      origins: await putLines(store, this.origins),
      quarantine: await putLines(store, this.entries),
      keys: await putLines(store, this.keys),
      profile: await putProfile(store, this.profile.build()),
    };
  }
}

/** Milliseconds since 1970 of a `date-time`. */
export function timeOf(value: unknown): number | undefined {
  const time = typeof value === 'string' ? Date.parse(value) : NaN;
  return Number.isNaN(time) ? undefined : time;
}

/** Writes lines as an object that is named by its content. */
export async function putLines(store: ObjectStore, lines: readonly string[]): Promise<ObjectReference> {
  const content = Buffer.from(lines.length === 0 ? '' : `${lines.join('\n')}\n`);
  const digest = sha256(content);
  await store.put(objectKey(digest), content);
  return { sha256: digest, bytes: content.length, records: lines.length };
}

/** Writes a profile as an object that is named by its content. */
export async function putProfile(store: ObjectStore, profile: Profile): Promise<ObjectReference> {
  return putLines(store, [canonical(profile)]);
}

/** The lines of an object. */
export async function linesOfObject(store: ObjectStore, reference: ObjectReference): Promise<string[]> {
  if (reference.records === 0) return [];
  const content = await store.get(objectKey(reference.sha256));
  if (content === undefined || sha256(content) !== reference.sha256) {
    throw new Error(`the object ${reference.sha256} is ${content === undefined ? 'gone' : 'not what was written'}`);
  }
  return content.toString('utf8').trimEnd().split('\n');
}
