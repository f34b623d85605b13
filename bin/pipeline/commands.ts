import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { loadGoldenSet } from '../../lambda/data-pipeline/reading/references';
import { fieldOf } from '../../lambda/data-pipeline/reading/source-record';
import { manifestOf } from '../../lambda/data-pipeline/running/staging';
import { linesOfObject } from '../../lambda/data-pipeline/running/line-object';
import type { QuarantineEntry } from '../../lambda/data-pipeline/running/shard-output';
import { ExactIndexes } from '../../lambda/data-pipeline/retrieval/exact-indexes';
import { activeIndex, switchIndex } from '../../lambda/data-pipeline/retrieval/switch-index';
import { lengthOfHistory, pinProfile } from '../../lambda/data-pipeline/monitors/history';
import type { Profile } from '../../lambda/data-pipeline/monitors/profile';
import { isShown, rollBack } from '../../lambda/data-pipeline/versions/publish';
import {
  ancestorsOf,
  currentVersion,
  type PublishedVersion,
  publishedVersion,
  recordsOf,
  trace,
} from '../../lambda/data-pipeline/versions/read-published';
import type { ProgressOutput } from '../progress-bar';
import { inWords, UserError } from '../user-error';
import { referenceFiles } from './reference-files';
import { madeOf, placeOf, quarantineLine, runReport } from './report';
import { type RunOptions, runPipeline } from './run-pipeline';
import { openWorkspace, queryEmbedder, type Workspace, type WorkspaceOptions } from './workspace';

/** Where a command writes. */
export interface CommandOutput {
  readonly print: (text: string) => void;
  readonly progress: ProgressOutput;
}

type Place = Pick<WorkspaceOptions, 'config' | 'output' | 'references'>;

/**
 * Runs a pipeline, or the quarantined records of a version.
 *
 * @returns whether the version is the one that readers see
 */
export async function runCommand(options: RunOptions, { print, progress }: CommandOutput): Promise<boolean> {
  const started = performance.now();
  const result = await runPipeline(options, progress);
  print(runReport(result, (performance.now() - started) / 1000, openWorkspace(options)));
  return result.publication !== undefined && isShown(result.publication);
}

/** Runs the quarantined records of a version again; the published version where none is given. */
export async function redriveCommand(options: RunOptions, output: CommandOutput): Promise<boolean> {
  const version = options.redrive ?? (await mustBePublished(openWorkspace(options))).version;
  return runCommand({ ...options, redrive: version }, output);
}

/** Asks the index for the records nearest to a text. */
export async function queryCommand(
  text: string,
  options: WorkspaceOptions & { readonly results?: number },
  { print }: CommandOutput,
): Promise<void> {
  const workspace = openWorkspace(options);
  const { store, pipeline } = workspace;
  const active = await activeIndex(workspace.active);
  const index = active && (await new ExactIndexes(store).open(active.index));
  if (!active || !index) throw new UserError(`${pipeline.name} has no index yet; run the pipeline`);
  const [vector] = await inWords(queryEmbedder(workspace, options)([text], active.embedding));
  const matches = await inWords(index.query(vector!, options.results ?? pipeline.retrieval?.results ?? 10));
  for (const [i, { id, distance, fields }] of matches.entries()) {
    const { uri, heading, title, text: passage } = fields as Record<string, string | undefined>;
    const excerpt = (passage ?? '').replace(/\s+/g, ' ').slice(0, 160);
    print(
      `${String(i + 1).padStart(2)}  ${(1 - distance).toFixed(3)}  ${uri ?? id}  ${heading ?? title ?? ''}\n      ${excerpt}\n`,
    );
  }
}

/** Lists the versions that were published, in the order of the pointer's moves. */
export async function versionsCommand(place: Place, { print }: CommandOutput): Promise<void> {
  const { store, pointers, pipeline } = openWorkspace(place);
  const history = await pointers.history();
  if (history.length === 0) throw new UserError(`${pipeline.name} has no published version yet`);
  for (const [i, { sequence, version, reason }] of history.entries()) {
    const [known] = await ancestorsOf(version, store);
    const what = madeOf(
      known!,
      ({ counts, code }) =>
        `${counts.published} records, ${counts.quarantined} in quarantine, code ${code.slice(0, 12)}`,
    );
    print(
      `${String(sequence).padStart(4)}  ${version}  ${reason.padEnd(8)}  ${what}${i === history.length - 1 ? '  <- readers' : ''}\n`,
    );
  }
}

/** Goes back to an earlier version: the pointer first, then the index. */
export async function rollBackCommand(
  version: string | undefined,
  options: WorkspaceOptions,
  { print }: CommandOutput,
): Promise<void> {
  const workspace = openWorkspace(options);
  const { store, pipeline } = workspace;
  const target = await rollBack(version, workspace).catch((error: unknown) => {
    throw new UserError((error as Error).message);
  });
  print(`readers see ${target}\n`);
  if (!pipeline.retrieval) return;
  const published = await publishedVersion(target, workspace);
  const golden =
    options.endpoint === undefined
      ? []
      : await inWords(loadGoldenSet(pipeline, referenceFiles(workspace.referenceDirectory)));
  const embed = options.endpoint === undefined ? () => Promise.resolve([]) : queryEmbedder(workspace, options);
  const { isSwitched, index, overtakenBy } = await switchIndex(published, golden, pipeline.retrieval, {
    ...{ store, indexes: new ExactIndexes(store), embed, active: workspace.active },
    shown: async () => (await workspace.pointers.current())?.version,
  });
  if (isSwitched) print(`queries are answered by ${index}\n`);
  else if (overtakenBy !== undefined) print(`the index stays: readers see ${overtakenBy} by now\n`);
  else print('the index stays: too few of the golden set were found\n');
}

/** Prints the quarantine of a version, with the raw records where asked. */
export async function quarantineCommand(
  version: string | undefined,
  options: Place & { readonly input?: string },
  { print }: CommandOutput,
): Promise<void> {
  const workspace = openWorkspace(options);
  const { manifest } =
    version === undefined ? await mustBePublished(workspace) : await heldOrPublished(version, workspace);
  for (const { quarantine } of manifest.shards) {
    for (const line of await linesOfObject(workspace.store, quarantine)) {
      const entry = JSON.parse(line) as QuarantineEntry;
      print(quarantineLine(entry));
      if (options.input !== undefined) print(`    ${await rawRecord(options.input, entry)}\n`);
    }
  }
}

/** Tells where records of the published version come from. */
export async function traceCommand(
  field: string,
  value: string,
  options: Place & { readonly version?: string },
  { print }: CommandOutput,
): Promise<void> {
  const workspace = openWorkspace(options);
  const published =
    options.version === undefined
      ? await mustBePublished(workspace)
      : await publishedVersion(options.version, workspace);
  for await (const { record, file, offset } of trace(
    published,
    (candidate) => String(fieldOf(candidate, field)) === value,
    workspace.store,
  )) {
    print(`${placeOf(file, offset)}  ${String(record.id ?? record[field])}\n`);
  }
  for (const ancestor of await ancestorsOf(published.version, workspace.store)) {
    const made = madeOf(
      ancestor,
      ({ code, definition }) => `code ${code.slice(0, 12)}, definition ${definition.slice(0, 12)}`,
    );
    print(`${'  '.repeat(ancestor.depth)}version ${ancestor.version}  ${made}\n`);
  }
}

/** Pins the published version, or another: distributions are compared with it from now on. */
export async function pinCommand(version: string | undefined, place: Place, { print }: CommandOutput): Promise<void> {
  const workspace = openWorkspace(place);
  const published =
    version === undefined ? await mustBePublished(workspace) : await publishedVersion(version, workspace);
  const [profile] = await linesOfObject(workspace.store, published.manifest.profile);
  await pinProfile(workspace.store, published.version, JSON.parse(profile!) as Profile);
  const length = await lengthOfHistory(workspace.store, workspace.pipeline.monitors.history);
  print(`later versions are compared with ${published.version}; the history has ${length} versions\n`);
}

/** Prints the records of the version that readers see, as JSON lines. */
export async function readCommand(place: Place, { print }: CommandOutput): Promise<void> {
  const workspace = openWorkspace(place);
  for await (const records of recordsOf(await mustBePublished(workspace), workspace.store)) {
    print(records.map((record) => `${JSON.stringify(record)}\n`).join(''));
  }
}

async function mustBePublished(workspace: Workspace): Promise<PublishedVersion> {
  const current = await currentVersion(workspace);
  if (!current) throw new UserError(`${workspace.pipeline.name} has no published version yet`);
  return current;
}

async function heldOrPublished(version: string, workspace: Workspace): Promise<Pick<PublishedVersion, 'manifest'>> {
  return { manifest: await inWords(manifestOf(version, workspace.store)) };
}

async function rawRecord(input: string, { file, offset, bytes }: QuarantineEntry): Promise<string> {
  const handle = await open(join(input, file)).catch(() => undefined);
  if (!handle) return '(the file is gone)';
  try {
    const content = Buffer.alloc(Math.min(bytes, 2000));
    await handle.read(content, 0, content.length, offset);
    return JSON.stringify(content.toString('utf8'));
  } finally {
    await handle.close();
  }
}
