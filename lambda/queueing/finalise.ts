import { advanceFinal, failed, finalised, held, HOLD_SECONDS, inputFault, LET_GO, SETTLED } from './batch-life';
import {
  type BatchFault,
  type BatchRecord,
  type BatchResult,
  type FinalState,
  hasEnded,
  type Tally,
} from './batch-record';
import type { BatchBooks, ControlQueue, FileBooks, Shelves } from './books';
import { fileKey, type FileRecord } from './file-record';
import { workKind } from './ids';
import { inOrder } from './in-order';
import { customIdOf } from './line-check';
import { type Line, readLines } from './line-reader';
import { OutputFile } from './output-file';
import { absentResult, addTokens, type WrittenResult, writtenResult } from './result-text';

/** Everything that finalising needs from outside. */
export interface FinalisePorts {
  readonly batches: Pick<BatchBooks, 'change'>;
  readonly files: Pick<FileBooks, 'add'>;
  readonly shelves: Shelves;
  readonly control: ControlQueue;
  /** A new id of a file. */
  readonly newFileId: () => string;
  /** Tells this invocation from any other. */
  readonly owner: string;
  /** Seconds since 1970. */
  readonly now: () => number;
  /** Milliseconds that the invocation has left. */
  readonly remainingMs: () => number;
}

/** Limits that the results are put together in. */
export interface FinaliseRules {
  readonly maxLineBytes: number;
  readonly retentionDays: number;
  /** Lines whose results are written as one object. @default 50000 */
  readonly partLines?: number;
}

/** What a crash costs at most. */
const PART_LINES = 50_000;

/** Results that are fetched at the same time, and their bytes as far as those before them tell. */
const FETCHES = 48;
const FETCHED_BYTES = 32 * 1024 * 1024;

/** With less time left, the next part is left to another invocation: one takes a minute or two. */
const RESERVE_MS = 300_000;

/**
 * Puts the results of a batch together, in constant memory: walks the input line by line, so that each line gets exactly
 * one line, in the output or in the error file. A long batch is written in parts, each noted when it stands; after a
 * crash, or where the time is short, the next invocation goes on behind the last noted part.
 *
 * @returns the batch as it has ended, or undefined where there was nothing to do, or it is not at its end
 */
export async function finalise(
  { tenant, id }: Pick<BatchRecord, 'tenant' | 'id'>,
  rules: FinaliseRules,
  ports: FinalisePorts,
): Promise<BatchRecord | undefined> {
  const ids = { outputFileId: ports.newFileId(), errorFileId: ports.newFileId() };
  const batch = await ports.batches.change(tenant, id, (now) => held(now, ports.owner, ids, ports.now()));
  if (!batch?.final || !batch.ending) return undefined;
  return new Finaliser(batch, batch.final, batch.ending, rules, ports).run();
}

class Finaliser {
  private readonly partLines: number;
  private renewedAt: number;
  /** About the size of the largest results of late: embeddings of many texts have megabytes. */
  private resultBytes = 1;

  constructor(
    private readonly batch: BatchRecord,
    private final: FinalState,
    private readonly ending: NonNullable<BatchRecord['ending']>,
    private readonly rules: FinaliseRules,
    private readonly ports: FinalisePorts,
  ) {
    this.partLines = rules.partLines ?? PART_LINES;
    this.renewedAt = ports.now();
  }

  public async run(): Promise<BatchRecord | undefined> {
    if (workKind(this.batch.id) === 'job') return this.endJob();
    const whole = this.fitsOnePart();
    while (!this.final.walked) {
      if (!whole && this.final.parts.length > 0 && this.ports.remainingMs() < RESERVE_MS) return this.handOver();
      if (!(await this.writePart(whole))) return undefined;
    }
    if (!whole && this.ports.remainingMs() < RESERVE_MS) return this.handOver();
    return this.endBatch(whole);
  }

  /** Whether all is written at once, to where it is to stand. */
  private fitsOnePart(): boolean {
    const { split, input } = this.batch;
    return split.done ? split.line <= this.partLines : input.bytes <= this.partLines * 60;
  }

  /** Writes the results of the next lines; false where another has taken over. */
  private async writePart(whole: boolean): Promise<boolean> {
    const { final, ports } = this;
    const part = final.parts.length;
    const files = {
      output: this.file(whole ? this.fileKeyOf(final.outputFileId) : this.partKey(part, 'output')),
      errors: this.file(whole ? this.fileKeyOf(final.errorFileId) : this.partKey(part, 'errors')),
    };
    let { tally } = final;
    const cut = { line: final.line, offset: final.offset, walked: true };
    try {
      const atOnce = () => Math.min(FETCHES, FETCHED_BYTES / this.resultBytes);
      for await (const { result, line } of inOrder(this.lines(whole, cut), atOnce, (line) => this.resultOf(line))) {
        await files[result.outcome === 'completed' ? 'output' : 'errors'].write(result.text);
        tally = counted(tally, result);
        cut.line = line.number;
        cut.offset = line.next;
        await this.renew();
      }
      const bytes = { output: await files.output.end(), errors: await files.errors.end() };
      return await this.note({ ...cut, tally, parts: [...final.parts, bytes], until: ports.now() + HOLD_SECONDS });
    } catch (error) {
      await Promise.all([files.output.abort(error), files.errors.abort(error)]);
      if (error instanceof HoldLost) return false;
      if (error instanceof InputFault) return this.giveUp(error.fault);
      throw error;
    }
  }

  /** The lines of the next part. */
  private async *lines(whole: boolean, cut: { walked: boolean }): AsyncGenerator<Line> {
    const { line, offset } = this.final;
    const input = await this.ports.shelves.open(this.batch.input.key, offset);
    const fault = inputFault(this.batch, input);
    if (!input || fault) throw fault ? new InputFault(fault) : new Error('no input');
    let lines = 0;
    for await (const read of readLines(input.body, this.rules.maxLineBytes, { line, offset })) {
      if (!whole && lines === this.partLines) {
        cut.walked = false;
        return;
      }
      lines += 1;
      yield read;
    }
  }

  private async resultOf(line: Line): Promise<{ readonly result: WrittenResult; readonly line: Line }> {
    const { id: batchId, tenant } = this.batch;
    const item = { tenant, batchId, line: line.number };
    const stored = await this.ports.shelves.result(item);
    if (stored !== undefined) {
      this.resultBytes = Math.max(stored.length, this.resultBytes * 0.99);
      return { result: writtenResult(stored), line };
    }
    return { result: absentResult(item, customIdOf(line.bytes), this.ending), line };
  }

  /** Puts the parts together, and ends the batch. */
  private async endBatch(whole: boolean): Promise<BatchRecord | undefined> {
    const { parts, tally, outputFileId, errorFileId } = this.final;
    const bytes = { output: sum(parts.map((part) => part.output)), errors: sum(parts.map((part) => part.errors)) };
    if (!whole) {
      if (bytes.output > 0) await this.join('output', this.fileKeyOf(outputFileId));
      if (bytes.errors > 0) await this.join('errors', this.fileKeyOf(errorFileId));
    }
    if (bytes.output > 0) await this.addFile(outputFileId, bytes.output, 'output');
    if (bytes.errors > 0) await this.addFile(errorFileId, bytes.errors, 'error');
    const ended = await this.end(
      { tally, ...(bytes.output > 0 && { outputFileId }), ...(bytes.errors > 0 && { errorFileId }) },
      this.ending,
    );
    if (ended && !whole) await this.removeParts(parts.length);
    return ended;
  }

  /** A job's one result stays where it is. */
  private async endJob(): Promise<BatchRecord | undefined> {
    const { id: batchId, tenant } = this.batch;
    const item = { tenant, batchId, line: 1 };
    const stored = await this.ports.shelves.result(item);
    const result = stored === undefined ? absentResult(item, batchId, this.ending) : writtenResult(stored);
    const missing = this.ending === 'completed' ? 'failed' : this.ending;
    const status = result.outcome === 'completed' ? 'completed' : stored === undefined ? missing : 'failed';
    return this.end({ tally: counted(this.final.tally, result) }, status);
  }

  private end(result: BatchResult, status: Parameters<typeof finalised>[3]): Promise<BatchRecord | undefined> {
    const { batches, owner, now } = this.ports;
    const { tenant, id } = this.batch;
    return batches.change(tenant, id, (batch) => finalised(batch, owner, result, status, now()));
  }

  private async join(kind: 'output' | 'errors', key: string): Promise<void> {
    const { parts } = this.final;
    const { shelves } = this.ports;
    const keys = parts.flatMap((part, i) => (part[kind] > 0 ? [this.partKey(i, kind)] : []));
    const renew = () => this.renew();
    async function* chunks(): AsyncGenerator<Uint8Array> {
      for (const part of keys) {
        const object = await shelves.open(part);
        if (!object) throw new Error(`${part} is missing`);
        for await (const chunk of object.body) {
          await renew();
          yield chunk;
        }
      }
    }
    await shelves.upload(key, chunks());
  }

  private async addFile(id: string, bytes: number, kind: 'output' | 'error'): Promise<void> {
    const { tenant, outputSeconds, id: batchId } = this.batch;
    const createdAt = this.ports.now();
    // The policy may have become shorter since the batch was made, and the bucket's lifecycle with it.
    const most = this.rules.retentionDays * 86_400;
    const file: FileRecord = {
      ...{ id, tenant, bytes, createdAt, purpose: 'batch_output', status: 'uploaded' },
      filename: `${batchId}_${kind}.jsonl`,
      expiresAt: createdAt + Math.min(outputSeconds ?? most, most),
    };
    await this.ports.files.add(file);
  }

  private async removeParts(parts: number): Promise<void> {
    for (let part = 0; part < parts; part++) {
      await Promise.all(
        (['output', 'errors'] as const).map((kind) => this.ports.shelves.remove(this.partKey(part, kind))),
      );
    }
  }

  /** Leaves the rest to another invocation. */
  private async handOver(): Promise<undefined> {
    const { tenant, id: batchId } = this.batch;
    if (!(await this.note({ until: LET_GO }))) return;
    await this.ports.control.send({ v: 1, kind: 'finalise', tenant, batchId });
  }

  /** Keeps hold of the batch. */
  private async renew(): Promise<void> {
    const now = this.ports.now();
    if (now < this.renewedAt + HOLD_SECONDS / 5) return;
    this.renewedAt = now;
    if (!(await this.note({ until: now + HOLD_SECONDS }))) throw new HoldLost();
  }

  private async note(state: Partial<FinalState>): Promise<boolean> {
    const { tenant, id } = this.batch;
    const noted = await this.ports.batches.change(tenant, id, (batch) => advanceFinal(batch, this.ports.owner, state));
    if (noted?.final) this.final = noted.final;
    return noted !== undefined;
  }

  /** Without its input, nobody can say which requests the batch had; the results that it had before stay. */
  private async giveUp(fault: BatchFault): Promise<false> {
    const { batches, owner, now } = this.ports;
    await batches.change(this.batch.tenant, this.batch.id, (batch) =>
      hasEnded(batch) ? advanceFinal(batch, owner, { until: SETTLED }) : failed(batch, [fault], now()),
    );
    return false;
  }

  private file(key: string): OutputFile {
    return new OutputFile((chunks) => this.ports.shelves.upload(key, chunks));
  }

  private fileKeyOf(id: string): string {
    return fileKey({ tenant: this.batch.tenant, id });
  }

  private partKey(part: number, kind: 'output' | 'errors'): string {
    return `items/${this.batch.id}/parts/${this.final.revision}/${part}.${kind}`;
  }
}

/** Another puts the results together now. */
class HoldLost extends Error {}

class InputFault extends Error {
  constructor(public readonly fault: BatchFault) {
    super(fault.message);
  }
}

function counted(tally: Tally, { outcome, tokens }: WrittenResult): Tally {
  return { ...tally, [outcome]: tally[outcome] + 1, tokens: addTokens(tally.tokens, tokens) };
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
