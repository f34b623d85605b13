import type { ResolvedPipeline, ResolvedStage } from '../../../lib/policy/pipeline/pipeline-defaults';
import { canonical, compileCheck, type ValueCheck } from '../../../lib/policy/pipeline/schema-check';
import { FaultAction } from '../../../lib/policy';
import type { DataRecord, Place } from '../reading/source-record';
import { indexFault } from '../retrieval/indexed-vector';
import type { Findings, Worker } from '../stages/work';
import { compileRules, type RecordRule, type RuleContext, type UniqueRule } from './rule-checks';

/** A record on its way, with where it comes from. */
export interface Item {
  readonly record: DataRecord;
  readonly place: Place;
  /** Number of the source record within its shard, from 0. */
  readonly ordinal: number;
  /** Which of the records that a source record turned into: `''`, or such as `.2.0`. */
  readonly branch: string;
}

/** A record that is set aside. */
export interface QuarantinedRecord {
  readonly file: string;
  readonly offset: number;
  readonly bytes: number;
  readonly stage: string;
  readonly rule: string;
  /** Never holds a value of the record. */
  readonly reason: string;
  readonly branch: string;
}

/** A key that must be unique in the version. */
export interface UniqueKey {
  readonly stage: number;
  readonly rule: number;
  readonly hash: string;
  readonly place: Place;
  readonly ordinal: number;
  readonly branch: string;
}

/** Takes what a batch gives beside the records that go on. */
export interface BatchOutput {
  quarantine(record: QuarantinedRecord, ordinal: number): void;
  key(key: UniqueKey): void;
  count(stage: number, counts: { readonly in: number; readonly out: number; readonly quarantined: number }): void;
  found(stage: number, findings: Findings): void;
}

/** A record broke a contract whose `onFault` is `stop`. The state machine knows it by its name, and does not try again. */
export class PipelineStopped extends Error {
  public override readonly name = 'PipelineStopped';
}

/** A stage that is ready to run. */
export interface RunnableStage {
  readonly stage: ResolvedStage;
  readonly worker: Worker;
  readonly checkInput?: ValueCheck;
  readonly checkOutput: ValueCheck;
  readonly records: readonly RecordRule[];
  readonly unique: readonly UniqueRule[];
}

/** Makes stages ready, once for a run. Where an index is filled, the last one gives nothing that no index takes. */
export function prepareStages(
  { stages, retrieval }: Pick<ResolvedPipeline, 'stages' | 'retrieval'>,
  workerOf: (stage: ResolvedStage) => Worker,
  context: RuleContext,
): RunnableStage[] {
  return stages.map((stage, i) => {
    const { records, unique } = compileRules(stage.rules, context);
    const isIndexed = retrieval && i === stages.length - 1;
    return {
      stage,
      worker: workerOf(stage),
      // What the stage before gives was checked as it came out, and the contract says that this stage accepts all of it.
      ...(i === 0 && { checkInput: compileCheck(stage.contract.input) }),
      checkOutput: isChecked(stage, i) ? () => undefined : compileCheck(stage.contract.output),
      records: isIndexed
        ? [...records, { name: 'retrieval', check: (record: DataRecord) => indexFault(record, retrieval) }]
        : records,
      unique,
    };
  });
}

/** Whether what a stage gives is what was checked when it came in, against the same schema. */
function isChecked({ work, contract: { input, output } }: ResolvedStage, index: number): boolean {
  return index === 0 && work.kind === 'check' && !work.dropUnknownFields && canonical(input) === canonical(output);
}

/** Takes records through all stages. Those that break a contract go to the quarantine, and the others are the result. */
export async function runBatch(
  stages: readonly RunnableStage[],
  batch: readonly Item[],
  output: BatchOutput,
): Promise<Item[]> {
  let items = [...batch];
  for (const [index, runnable] of stages.entries()) items = await runStage(runnable, index, items, output);
  return items;
}

async function runStage(
  { stage, worker, checkInput, checkOutput, records, unique }: RunnableStage,
  index: number,
  items: readonly Item[],
  output: BatchOutput,
): Promise<Item[]> {
  let quarantined = 0;
  const setAside = ({ place, ordinal, branch }: Item, rule: string, reason: string) => {
    if (stage.onFault === FaultAction.STOP) {
      const where = `${place.file} at byte ${place.offset}`;
      throw new PipelineStopped(`stage "${stage.name}", rule "${rule}": ${where} ${reason}`);
    }
    quarantined++;
    output.quarantine({ ...place, stage: stage.name, rule, reason, branch }, ordinal);
  };
  const accepted = checkInput
    ? items.filter((item) => !faulty(checkInput(item.record), (reason) => setAside(item, 'input', reason)))
    : items;
  const findings: Findings = {};
  const results =
    accepted.length === 0
      ? []
      : await worker.run(
          accepted.map(({ record }) => record),
          findings,
        );
  const given: Item[] = [];
  accepted.forEach((item, i) => {
    const result = results[i]!;
    if ('fault' in result) {
      setAside(item, 'work', result.fault);
      return;
    }
    result.records.forEach((record, position) => {
      const made = { ...item, record, branch: worker.fansOut ? `${item.branch}.${position}` : item.branch };
      if (faulty(checkOutput(record), (reason) => setAside(made, 'output', reason))) return;
      if (records.some(({ name, check }) => faulty(check(record), (reason) => setAside(made, name, reason)))) return;
      unique.forEach(({ keyOf }, rule) => {
        const hash = keyOf(record);
        if (hash !== undefined)
          output.key({ stage: index, rule, hash, place: made.place, ordinal: made.ordinal, branch: made.branch });
      });
      given.push(made);
    });
  });
  output.count(index, { in: items.length, out: given.length, quarantined });
  output.found(index, findings);
  return given;
}

function faulty(reason: string | undefined, report: (reason: string) => void): boolean {
  if (reason === undefined) return false;
  report(reason);
  return true;
}
