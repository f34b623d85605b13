import { timeOf } from '../../../lib/policy/pipeline/formats';
import type { ResolvedPipeline } from '../../../lib/policy/pipeline/pipeline-defaults';
import { canonical } from '../../../lib/policy/pipeline/schema-check';
import { type Profile, ProfileBuilder } from '../monitors/profile';
import { fieldOf, type Place } from '../reading/source-record';
import type { Findings } from '../stages/work';
import type { ObjectStore } from '../storage';
import type { ObjectReference } from '../versions/manifest';
import { LineObject, putLines } from './line-object';
import type { BatchOutput, Item, QuarantinedRecord, UniqueKey } from './run-batch';
import { READING, type ShardSummary } from './shard-summary';

/** An entry of the quarantine as it is kept: with the number of its source record within the shard. */
export type QuarantineEntry = QuarantinedRecord & { readonly ordinal: number };

/** Where a line of a part comes from. */
export type Origin = readonly [file: string, offset: number, ordinal: number, branch: string];

/** Takes what a shard gives, and writes it when the shard is done. */
export class ShardOutput implements BatchOutput {
  private readonly lines = new LineObject();
  private readonly origins = new LineObject();
  private readonly entries = new LineObject();
  private readonly keys = new LineObject();
  private readonly faulty = new Set<number>();
  private readonly faults: Record<string, Record<string, number>> = {};
  private readonly stages: { in: number; out: number; quarantined: number; found: Findings }[];
  private readonly profile: ProfileBuilder;
  private readonly timeField: string | undefined;
  private named = { file: '', json: '""' };

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
    // The file's name may hold whatever a name may: also the end of a line.
    const file = this.nameOf(place.file);
    this.keys.push(`${stage} ${rule} ${hash} ${ordinal} ${branch} ${place.offset} ${place.bytes} ${file}`);
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
    const time = timeOf(fieldOf(record, this.timeField ?? ''));
    this.lines.push(JSON.stringify(record));
    // As JSON of an Origin, without the work on a name that is the same a hundred thousand times.
    this.origins.push(`[${this.nameOf(place.file)},${place.offset},${ordinal},"${branch}"]`);
    this.profile.add(record, time);
  }

  private nameOf(file: string): string {
    if (this.named.file !== file) this.named = { file, json: JSON.stringify(file) };
    return this.named.json;
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
      part: await this.lines.write(store),
      origins: await this.origins.write(store),
      quarantine: await this.entries.write(store),
      keys: await this.keys.write(store),
      profile: await putProfile(store, this.profile.build()),
    };
  }
}

/** Writes a profile as an object that is named by its content. */
export async function putProfile(store: ObjectStore, profile: Profile): Promise<ObjectReference> {
  return putLines(store, [canonical(profile)]);
}
