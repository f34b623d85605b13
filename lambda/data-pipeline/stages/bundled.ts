import type { ResolvedStage } from '../../../lib/policy/pipeline/pipeline-defaults';
import type { DataRecord } from '../reading/source-record';
import { chunkDocument } from './chunk';
import { embedWorker, type EmbedPorts } from './embed';
import { type CallFunction, functionWorker } from './function-stage';
import { normaliseRecord } from './normalise';
import { parseDocument } from './parse';
import { redactRecord } from './redact';
import { eachRecord, type Worker } from './work';

/** What the stages need from outside. */
export interface WorkPorts {
  /** The endpoint of an embed stage, with its repetitions. */
  readonly embed?: (work: Extract<ResolvedStage['work'], { kind: 'embed' }>) => EmbedPorts;
  /** The user's function of a name. Throws where there is none. */
  readonly function?: (name: string) => CallFunction;
}

/** The worker of a stage. A Glue job runs by itself, between runs of the stages before and after it. */
export function workerOf({ name, work, contract }: ResolvedStage, ports: WorkPorts): Worker {
  switch (work.kind) {
    case 'check': {
      const known = work.dropUnknownFields ? Object.keys(contract.input.properties ?? {}) : undefined;
      return eachRecord(false, (record) => [known ? onlyFields(record, known) : record]);
    }
    case 'parse':
      return eachRecord(false, (record) => [parseDocument(record, work)]);
    case 'normalise':
      return eachRecord(false, (record) => [normaliseRecord(record, work)]);
    case 'chunk':
      return eachRecord(true, (record) => chunkDocument(record, work));
    case 'redact':
      return eachRecord(false, (record, findings) => [redactRecord(record, work, findings)]);
    case 'embed':
      if (!ports.embed) throw new Error(`the stage "${name}" needs an endpoint for the model ${work.model}`);
      return embedWorker(work, ports.embed(work));
    case 'function':
      if (!ports.function) throw new Error(`the stage "${name}" needs the function ${work.name}`);
      return functionWorker(work.batchSize, ports.function(work.name));
    case 'glueJob':
      throw new Error(`the stage "${name}" is a Glue job, which runs on AWS only`);
  }
}

function onlyFields(record: DataRecord, known: readonly string[]): DataRecord {
  return Object.fromEntries(known.flatMap((name) => (Object.hasOwn(record, name) ? [[name, record[name]]] : [])));
}
