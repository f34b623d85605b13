import type { Measurement } from '../monitors/watch';
import type { Profile } from '../monitors/profile';
import type { References } from '../reading/references';
import type { ObjectStore } from '../storage';
import { type Manifest, versionOf } from '../versions/manifest';
import { readManifest } from '../versions/publish';
import type { LegAudit } from './legs';
import { PipelineStopped } from './run-batch';
import { summaryKey } from './run-shard';
import type { ShardSummary } from './shard-summary';

/** What the keys of all that runs keep begin with. */
export const STAGING_PREFIX = 'staging/';

/** What a run is made of: written when it is started, and when it is started again. */
const RECORD_FILE = 'run.json';

/** Shards whose summaries are read at one time. */
const PARALLEL_READS = 32;

/** What is kept of a run between its steps. */
export interface RunRecord {
  readonly code: string;
  readonly parents: readonly string[];
  readonly inputs: Manifest['inputs'];
  readonly references: References['digests'];
  readonly asOf?: string;
  /** The run of the leg before. */
  readonly after?: string;
  readonly shards: readonly number[];
}

/** What is kept of an audit until it is published. */
export interface AuditRecord {
  readonly version: string;
  readonly measurements: readonly Measurement[];
  /** Key of the entry in the history whose place it takes. */
  readonly place?: string;
  readonly profile: Profile;
}

/** What a run keeps in the store between its steps: a folder that is cleared when its version is published. */
export class RunStaging {
  /** What the keys of all that the run keeps begin with, without the last slash. */
  public readonly folder: string;

  public constructor(
    private readonly run: string,
    private readonly store: ObjectStore,
  ) {
    this.folder = `${STAGING_PREFIX}${run}`;
  }

  /** @throws where the run was not planned, or is cleared away */
  public async record(): Promise<RunRecord> {
    const record = await this.recordOrNone();
    if (!record) throw new Error(`there is no run ${this.run}`);
    return record;
  }

  public async writeRecord(record: RunRecord): Promise<void> {
    await this.write(RECORD_FILE, record);
  }

  /** What a redrive keeps of the version before. */
  public async kept({ parents }: RunRecord): Promise<readonly ShardSummary[]> {
    if (parents.length === 0) return [];
    const kept = await this.read<ShardSummary[]>('kept.json');
    if (!kept) throw new Error(`the run ${this.run} has lost what it keeps of version ${parents[0]!}`);
    return kept;
  }

  public async writeKept(kept: readonly ShardSummary[]): Promise<void> {
    await this.write('kept.json', kept);
  }

  /** Summaries of the shards that are done, in their order. */
  public async summaries({ shards }: RunRecord): Promise<ShardSummary[]> {
    const summaries: ShardSummary[] = [];
    for (let i = 0; i < shards.length; i += PARALLEL_READS) {
      const some = shards.slice(i, i + PARALLEL_READS);
      const read = await Promise.all(some.map((index) => this.store.get(summaryKey(this.folder, index))));
      for (const summary of read) if (summary) summaries.push(JSON.parse(summary.toString('utf8')) as ShardSummary);
    }
    return summaries;
  }

  /** The audited version, unless it is held. */
  public manifest(): Promise<Manifest | undefined> {
    return this.read('manifest.json');
  }

  /** Writes the manifest of an audited version, or of one that is held, of which only a redrive knows. */
  public async writeManifest(bytes: string, isHeld: boolean): Promise<void> {
    await this.store.put(`${this.folder}/${isHeld ? 'held' : 'manifest'}.json`, bytes);
  }

  public audit(): Promise<AuditRecord | undefined> {
    return this.read('audit.json');
  }

  public async writeAudit(audit: AuditRecord): Promise<void> {
    await this.write('audit.json', audit);
  }

  public async writeLeg(leg: LegAudit): Promise<void> {
    await this.write('leg.json', leg);
  }

  /** The audits of the legs before, in their order. */
  public async legsBefore({ after }: RunRecord): Promise<LegAudit[]> {
    if (after === undefined) return [];
    const before = new RunStaging(after, this.store);
    const leg = await before.read<LegAudit>('leg.json');
    if (!leg) throw new Error(`the run ${after}, which gave the Glue job its records, is gone: start another run`);
    return [...(await before.legsBefore(await before.record())), leg];
  }

  /** Notes that a record has stopped the run. */
  public async stop(reason: string): Promise<void> {
    await this.store.put(`${this.folder}/stopped.txt`, reason);
  }

  /** Notes that all that a redrive has run again is at fault still. */
  public async noteNothingCame(): Promise<void> {
    await this.store.put(`${this.folder}/nothing.txt`, '');
  }

  /**
   * Lets a run that was stopped go on, and a redrive that brought nothing run again: what was wrong may be mended, such as a
   * function that failed, or a network.
   */
  public async letGo(): Promise<void> {
    await this.store.delete(`${this.folder}/stopped.txt`);
    if (!(await this.store.get(`${this.folder}/nothing.txt`))) return;
    for await (const key of this.store.list(`${this.folder}/shards/`)) await this.store.delete(key);
    await this.store.delete(`${this.folder}/nothing.txt`);
  }

  /** @throws PipelineStopped where a record has stopped the run */
  public async mustNotBeStopped(): Promise<void> {
    const reason = await this.store.get(`${this.folder}/stopped.txt`);
    if (reason) throw new PipelineStopped(reason.toString('utf8'));
  }

  /** Clears the folder away, with those of the legs before. */
  public async clear(): Promise<void> {
    const { after } = (await this.recordOrNone()) ?? {};
    if (after !== undefined) await new RunStaging(after, this.store).clear();
    // First, so that what is left is not taken for a run whose shards have failed.
    await this.store.delete(`${this.folder}/run.json`);
    for await (const key of this.store.list(`${this.folder}/`)) await this.store.delete(key);
  }

  /** Undefined where the run was not planned, or is cleared away. */
  public recordOrNone(): Promise<RunRecord | undefined> {
    return this.read(RECORD_FILE);
  }

  private async read<T>(name: string): Promise<T | undefined> {
    const content = await this.store.get(`${this.folder}/${name}`);
    return content && (JSON.parse(content.toString('utf8')) as T);
  }

  private async write(name: string, content: object): Promise<void> {
    await this.store.put(`${this.folder}/${name}`, JSON.stringify(content));
  }
}

/**
 * Clears away what runs have left that were started before a time, in milliseconds since 1970: held back, failed or cut off.
 * None of them goes on, or can be redriven, after it.
 */
export async function clearRunsBefore(time: number, store: ObjectStore): Promise<void> {
  // A run that was cleared away by half has lost what says when it was started: the first file of it does.
  const begun = new Map<string, number>();
  for await (const { key, writtenAt } of store.listWritten(STAGING_PREFIX)) {
    const [run = '', ...file] = key.slice(STAGING_PREFIX.length).split('/');
    if (!begun.has(run) || file.join('/') === RECORD_FILE) begun.set(run, writtenAt);
  }
  for (const [run, began] of begun) {
    if (began >= time) continue;
    for await (const key of store.list(`${STAGING_PREFIX}${run}/`)) await store.delete(key);
  }
}

/** A published version, or one that was held back for its faults. */
export async function manifestOf(version: string, store: ObjectStore): Promise<Manifest> {
  for await (const key of store.list(STAGING_PREFIX)) {
    if (!key.endsWith('/held.json')) continue;
    const held = await store.get(key);
    if (held && versionOf(held) === version) return JSON.parse(held.toString('utf8')) as Manifest;
  }
  return readManifest(version, store);
}
