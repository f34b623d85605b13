import { isRecord, show } from '../../../lib/policy/fields';
import { type Profile } from '../monitors/profile';
import { pinProfile } from '../monitors/history';
import { linesOfObject } from '../running/line-object';
import { manifestOf } from '../running/staging';
import type { Pointer } from '../storage';
import type { Manifest } from './manifest';
import { readManifest, rollBack, type VersionPorts } from './publish';
import { ancestorsOf, publishedVersion, trace } from './read-published';

/** Records that one answer lists at the most: it must fit into the 6 MB of an invocation. */
const MOST_LISTED = 1000;

/** What control needs from outside. */
export interface ControlPorts extends VersionPorts {
  /** Starts a run that takes the quarantined records of a version through the stages again. */
  readonly redrive: (version: string) => Promise<string>;
  /** Starts a run that builds the vector index of the version that readers see; undefined where there is no index. */
  readonly index?: (version: string) => Promise<string>;
}

/**
 * What operators may ask of a pipeline's versions, by `action`:
 *
 * - `versions`: what was published, oldest first, and which one readers see;
 * - `manifest` of `version`, published or held back, without its shards;
 * - `rollback` to `version`, or to the one before, and of the vector index with it;
 * - `lineage` of `version`: what it was made from; with `id`, the file and offset of its records with that id;
 * - `quarantine` of `version`: the records that were put aside, by `stage` and `rule` where they are given;
 * - `redrive` of `version`: runs its quarantined records again;
 * - `pin` of `version`: later versions are compared with it.
 *
 * @throws for what is none of these, with what is
 */
export async function controlPipeline(request: unknown, ports: ControlPorts): Promise<object> {
  const { action, ...rest } = isRecord(request) ? request : {};
  switch (action) {
    case 'versions':
      return listVersions(await ports.pointers.history());
    case 'manifest': {
      const { shards, ...manifest } = await manifestOf(textOf(rest, 'version'), ports.store);
      return { ...manifest, shards: shards.length };
    }
    case 'rollback':
      return goBack(rest.version === undefined ? undefined : textOf(rest, 'version'), ports);
    case 'lineage':
      return lineage(textOf(rest, 'version'), rest.id, ports);
    case 'quarantine':
      return quarantine(await manifestOf(textOf(rest, 'version'), ports.store), rest, ports);
    case 'redrive':
      return { execution: await ports.redrive(textOf(rest, 'version')) };
    case 'pin':
      return pin(textOf(rest, 'version'), ports);
    default:
      throw new Error(
        `action must be versions, manifest, rollback, lineage, quarantine, redrive or pin, got ${show(action)}`,
      );
  }
}

/** Readers see the earlier version at once, queries when its index is built. */
async function goBack(version: string | undefined, ports: ControlPorts): Promise<object> {
  const published = await rollBack(version, ports);
  if (!ports.index) return { published };
  try {
    return { published, execution: await ports.index(published) };
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new Error(
      `readers see version ${published}, but not yet its index: start an execution with {"index": "${published}"} (${reason})`,
      { cause: error },
    );
  }
}

function listVersions(history: readonly Pointer[]): object {
  return { current: history.at(-1)?.version ?? null, history };
}

async function lineage(version: string, id: unknown, ports: ControlPorts): Promise<object> {
  if (id === undefined) {
    const ancestors = await ancestorsOf(version, ports.store);
    return {
      ancestors: ancestors.map(({ manifest, ...ancestor }) => ({
        ...ancestor,
        ...(manifest && { code: manifest.code, definition: manifest.definition, counts: manifest.counts }),
      })),
    };
  }
  const found: object[] = [];
  const published = await publishedVersion(version, ports);
  for await (const each of trace(published, (record) => record.id === id, ports.store)) {
    found.push(each);
    if (found.length === MOST_LISTED) break;
  }
  return { records: found };
}

async function quarantine(
  manifest: Manifest,
  { stage, rule }: Readonly<Record<string, unknown>>,
  { store }: ControlPorts,
): Promise<object> {
  const records: object[] = [];
  let total = 0;
  for (const shard of manifest.shards) {
    for (const line of await linesOfObject(store, shard.quarantine)) {
      const entry = JSON.parse(line) as Readonly<Record<string, unknown>>;
      if ((stage !== undefined && entry.stage !== stage) || (rule !== undefined && entry.rule !== rule)) continue;
      total += 1;
      if (records.length < MOST_LISTED) records.push(entry);
    }
  }
  return { total, records };
}

async function pin(version: string, { store }: ControlPorts): Promise<object> {
  const { profile } = await readManifest(version, store);
  const [line] = await linesOfObject(store, profile);
  await pinProfile(store, version, JSON.parse(line!) as Profile);
  return { pinned: version };
}

function textOf(request: Readonly<Record<string, unknown>>, field: string): string {
  const value = request[field];
  if (typeof value !== 'string' || !/^[0-9a-f]{32}$/.test(value)) {
    throw new Error(`${field} must be the name of a version, 32 digits, got ${show(value)}`);
  }
  return value;
}
