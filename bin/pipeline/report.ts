import type { ResolvedPipeline } from '../../lib/policy/pipeline/pipeline-defaults';
import type { QuarantineEntry } from '../../lambda/data-pipeline/running/shard-output';
import { endingsOf } from '../../lambda/data-pipeline/reading/shard-plan';
import { type Manifest, manifestKey } from '../../lambda/data-pipeline/versions/manifest';
import type { Ancestor } from '../../lambda/data-pipeline/versions/read-published';
import type { IndexSwitch } from '../../lambda/data-pipeline/retrieval/switch-index';
import { isShown } from '../../lambda/data-pipeline/versions/publish';
import type { RunResult } from './run-pipeline';
import type { Workspace } from './workspace';

/** A run in plain lines: what went in and came out of each stage, what is at fault, and what became of the version. */
export function runReport(result: RunResult, seconds: number, { pipeline, directory }: Workspace): string {
  const { manifest, faultRate, findings, index, gone } = result;
  const { counts } = manifest;
  const rate = counts.read / Math.max(seconds, 0.001);
  const lines = [
    `read          ${grouped(counts.read)} records in ${seconds.toFixed(1)} s, ${grouped(Math.round(rate))} a second`,
    `published     ${result.publication && isShown(result.publication) ? grouped(counts.published) : '0'}`,
    ...passedOver(result, pipeline),
    `quarantined   ${grouped(counts.quarantined)}, from ${grouped(counts.faulty)} of ${grouped(counts.read)} source records (${percent(faultRate)})`,
    ...Object.entries(manifest.reading).map(([rule, count]) => `  read/${rule}: ${grouped(count)}`),
    ...manifest.stages.flatMap(({ name, faults }) =>
      inOrder(faults, pipeline, name).map(([rule, count]) => `  ${name}/${rule}: ${grouped(count)}`),
    ),
    ...table(manifest),
    ...manifest.stages.flatMap(({ name, found }) =>
      Object.entries(found).map(([kind, count]) => `found by ${name}: ${kind} ${grouped(count)}`),
    ),
    ...findings
      .filter(({ isAlarm }) => isAlarm)
      .map(({ monitor, value, detail }) => `ALARM ${monitor}: ${value} (${detail})`),
    ...(pipeline.monitors.mostAgeSeconds !== undefined && manifest.asOf === undefined
      ? ['freshness not judged: give --as-of TIME']
      : []),
    ...(index
      ? [
          `index         ${index.index}, ${standing(index)}` +
            (index.recall === undefined ? '' : `, recall ${percent(index.recall)}`),
        ]
      : []),
    ...gone.map((version) => `deleted       ${version}, beyond retention`),
    `version       ${result.version}  ${outcome(result)}`,
    ...(result.held === undefined ? [`manifest      ${directory}/${manifestKey(result.version)}`] : []),
  ];
  return lines.map((line) => `  ${line}\n`).join('');
}

/** A file that is not read for its name would else be missed by nobody. */
function passedOver({ passedOver: files }: RunResult, { source }: ResolvedPipeline): string[] {
  if (files === 0) return [];
  const what = files === 1 ? '1 file' : `${grouped(files)} files`;
  return [`passed over   ${what}; files read end in ${endingsOf(source).join(', ')}`];
}

/** Faults in the order in which a stage looks for them. */
function inOrder(
  faults: Readonly<Record<string, number>>,
  { stages }: ResolvedPipeline,
  stage: string,
): [rule: string, count: number][] {
  const { rules = [] } = stages.find(({ name }) => name === stage) ?? {};
  const order = ['input', 'work', 'output', ...rules.map(({ name }) => name)];
  return Object.entries(faults).sort(([one], [other]) => order.indexOf(one) - order.indexOf(other));
}

function outcome({ publication, held }: RunResult): string {
  if (held !== undefined) return `held back: ${held}`;
  if (publication?.outcome === 'overtaken')
    return `not published: ${publication.by} was published meanwhile; run again`;
  if (publication?.outcome === 'rolledBack')
    return 'not published: it was rolled back from; mend what made it, or run with --again';
  return publication?.outcome === 'unchanged' ? 'published already, nothing has changed' : 'published';
}

function standing({ isSwitched, overtakenBy }: IndexSwitch): string {
  if (isSwitched) return 'answers';
  return overtakenBy === undefined
    ? 'held back: too few of the golden set found'
    : `dropped: ${overtakenBy} was published meanwhile`;
}

function table({ stages }: Manifest): string[] {
  const width = Math.max(5, ...stages.map(({ name }) => name.length));
  const cell = (value: string | number) => String(typeof value === 'number' ? grouped(value) : value).padStart(12);
  const row = (name: string, ...cells: (string | number)[]) => name.padEnd(width) + cells.map(cell).join('');
  return [
    row('stage', 'in', 'out', 'quarantined'),
    ...stages.map((stage) => row(stage.name, stage.in, stage.out, stage.quarantined)),
  ];
}

/** An entry of the quarantine as a line. */
export function quarantineLine({ file, offset, stage, rule, reason }: QuarantineEntry): string {
  return `${placeOf(file, offset)}  ${stage}/${rule}  ${reason}\n`;
}

/** A place in a file. A name with blanks, quotes or controls stands in quotes, as JSON, so that an entry stays one line. */
export function placeOf(file: string, offset: number): string {
  return `${/[\s"\p{Cc}]/u.test(file) ? JSON.stringify(file) : file}:${offset}`;
}

/** What made a version, or why it is not known. */
export function madeOf({ manifest, isGone }: Ancestor, told: (manifest: Manifest) => string): string {
  if (manifest) return told(manifest);
  return isGone ? 'gone by retention' : 'cannot be read: its manifest is not what was written';
}

/** Digits in groups of three, the same on every machine. */
function grouped(number: number): string {
  return String(number).replace(/\B(?=(\d{3})+$)/g, ',');
}

function percent(share: number): string {
  return `${(100 * share).toFixed(share > 0 && share < 0.01 ? 3 : 1)} %`;
}
