import { randomBytes } from 'node:crypto';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import type { InferencePolicy } from '../../../lib/policy/policy';
import { Queue } from '../../../lambda/aws/queue';
import { awsService } from '../../../lambda/aws/service';
import { batchStores } from '../../../lambda/batch-store/environment';
import { newBatch } from '../../../lambda/queueing/batch-life';
import { type BatchRecord, hasEnded } from '../../../lambda/queueing/batch-record';
import { fileKey } from '../../../lambda/queueing/file-record';
import { newId } from '../../../lambda/queueing/ids';
import type { ResultLine } from '../../../lambda/queueing/item';
import { startRealStore, type StoreServer } from '../../store-servers';
import { WorkerProcess } from '../worker-process';
import type { ItemModelOrder, ItemModelReport } from '../workers/item-model';
import type { FunctionReport } from '../workers/queue-function';
import { type AwsStandIn, startAws } from './aws-stand-in';

/** How the workers run. */
export interface WorkerSettings {
  readonly timeoutMs: number;
  readonly batchSize: number;
  /** Invocations at once in a process. */
  readonly parallel: number;
  /** Share of messages that are delivered twice. */
  readonly twice: number;
}

const HANDLERS = resolve(__dirname, '../../../dist/handlers');
const WINDOW_MS = 600_000;

export type QueueFunction = WorkerProcess<'report', FunctionReport>;

/** Batches over real processes: store, model server, built functions with their pollers, and what stands in for AWS. */
export class BatchPlatform {
  public readonly workers: QueueFunction[] = [];
  private readonly stores: ReturnType<typeof batchStores>;

  private constructor(
    private readonly aws: AwsStandIn,
    public readonly environment: Readonly<Record<string, string>>,
    private readonly store: StoreServer,
    public readonly model: WorkerProcess<ItemModelOrder, ItemModelReport>,
    private readonly control: QueueFunction,
    private readonly settings: WorkerSettings,
  ) {
    this.stores = batchStores(environment);
  }

  public static async start(
    policyFor: (modelUrl: string) => InferencePolicy,
    settings: WorkerSettings,
  ): Promise<BatchPlatform> {
    const [aws, store, model] = await Promise.all([
      startAws(Math.ceil(settings.timeoutMs / 1000) + 3),
      startRealStore(),
      WorkerProcess.start<ItemModelOrder, ItemModelReport>('item-model'),
    ]);
    const file = join(mkdtempSync(join(tmpdir(), 'batch-')), 'policy.json');
    writeFileSync(file, JSON.stringify(policyFor((await model.ask({})).url)));
    const environment = {
      ...aws.environment,
      ...{ POLICY_FILE: file, STORE_URL: store.url, STORE_TIMEOUT_MS: '2000' },
    };
    const control = await WorkerProcess.start<'report', FunctionReport>('queue-function', {
      ...environment,
      ...{ HANDLER_FILE: join(HANDLERS, 'batch-control/index.mjs'), QUEUE_URL: aws.environment.CONTROL_QUEUE_URL! },
      ...{ TIMEOUT_MS: '900000', BATCH_SIZE: '1', PARALLEL: '2' },
    });
    return new BatchPlatform(aws, environment, store, model, control, settings);
  }

  /** Starts worker processes. */
  public async startWorkers(count: number): Promise<void> {
    const { timeoutMs, batchSize, parallel, twice } = this.settings;
    const environment = {
      ...this.environment,
      ...{ HANDLER_FILE: join(HANDLERS, 'job-worker/index.mjs'), QUEUE_URL: this.environment.WORK_QUEUE_URL! },
      ...{ TIMEOUT_MS: String(timeoutMs), BATCH_SIZE: String(batchSize) },
      ...{ PARALLEL: String(parallel), TWICE: String(twice) },
    };
    const started = Array.from({ length: count }, () =>
      WorkerProcess.start<'report', FunctionReport>('queue-function', environment),
    );
    this.workers.push(...(await Promise.all(started)));
  }

  /** Kills the worker that has run for the longest, as SIGKILL does, and starts another. */
  public async replaceWorker(): Promise<void> {
    await this.workers.shift()!.kill();
    await this.startWorkers(1);
  }

  /** Begins a batch of chats. */
  public async begin(tenant: string, texts: readonly string[]): Promise<string> {
    const { shelves, batches, control } = this.stores;
    const now = Math.floor(Date.now() / 1000);
    const fileId = newId('file', Date.now(), randomBytes);
    const key = fileKey({ tenant, id: fileId });
    const lines = texts.map((content, i) => {
      const body = { model: 'llama', messages: [{ role: 'user', content }], max_tokens: 20 };
      return JSON.stringify({ custom_id: `item-${i + 1}`, method: 'POST', url: '/v1/chat/completions', body });
    });
    await shelves.put(key, lines.join('\n'), 'application/jsonl');
    const { bytes, etag } = (await shelves.head(key))!;
    const id = newId('batch', Date.now(), randomBytes);
    const of = { id, tenant, plan: 'standard', endpoint: '/v1/chat/completions', input: { key, bytes, etag, fileId } };
    await batches.add(newBatch(of, now, 30));
    await control.send({ v: 1, kind: 'split', tenant, batchId: id });
    return id;
  }

  public async find(tenant: string, id: string): Promise<BatchRecord> {
    return (await this.stores.batches.find(tenant, id))!;
  }

  /** How many items of a batch have ended. */
  public async ended(id: string): Promise<number> {
    const { completed, failed, skipped } = await this.stores.batches.counts(id);
    return completed + failed + skipped;
  }

  /** Waits until so many items of a batch have ended. */
  public async untilEnded(id: string, items: number): Promise<void> {
    const deadline = Date.now() + WINDOW_MS;
    while ((await this.ended(id)) < items) {
      if (Date.now() > deadline) throw new Error(`only ${await this.ended(id)} of ${items} items have ended`);
      await pause(200);
    }
  }

  /** Waits for the end of a batch, and gives it with its lines. */
  public async end(
    tenant: string,
    id: string,
  ): Promise<{ batch: BatchRecord; output: ResultLine[]; errors: ResultLine[] }> {
    const deadline = Date.now() + WINDOW_MS;
    let batch = await this.find(tenant, id);
    while (!hasEnded(batch)) {
      if (Date.now() > deadline) {
        const { errors } = await this.control.ask('report');
        throw new Error(
          `the batch has not ended: ${JSON.stringify(batch)}, ${await this.ended(id)}; ${errors.join('\n')}`,
        );
      }
      await pause(300);
      batch = await this.find(tenant, id);
    }
    const { outputFileId, errorFileId } = batch.result!;
    const [output, errors] = await Promise.all([this.lines(tenant, outputFileId), this.lines(tenant, errorFileId)]);
    return { batch, output, errors };
  }

  /** Dead letters, with their reasons. */
  public async deadLetters(): Promise<string[]> {
    const queue = new Queue(awsService(this.environment, 'sqs', 10_000), this.environment.DEAD_LETTER_QUEUE_URL!);
    const reasons: string[] = [];
    for (let letters = await queue.receive(); letters.length > 0; letters = await queue.receive()) {
      reasons.push(...letters.map(({ attributes }) => attributes.reason ?? ''));
      await queue.remove(letters.map(({ receipt }) => receipt));
    }
    return reasons;
  }

  public async close(): Promise<void> {
    await Promise.all([...this.workers, this.control, this.model].map((worker) => worker.kill()));
    await Promise.all([this.store.close(), this.aws.close()]);
  }

  private async lines(tenant: string, fileId: string | undefined): Promise<ResultLine[]> {
    if (fileId === undefined) return [];
    const text = (await this.stores.bucket.text(fileKey({ tenant, id: fileId })))!;
    return text
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as ResultLine);
  }
}
