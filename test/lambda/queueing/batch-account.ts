import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import OpenAI from 'openai';
import { Queue } from '../../../lambda/aws/queue';
import { awsService } from '../../../lambda/aws/service';
import { batchStores } from '../../../lambda/batch-store/environment';
import type { ItemMessage, ResultLine } from '../../../lambda/queueing/item';
import { answeredLine, faultLine, outcomeOf } from '../../../lambda/queueing/result-line';
import { type MotoServer, startMoto } from '../moto-server';
import { type Recorder, startRecorder } from '../recorded-calls';

/** What background work needs in an account, as the constructs make it. */
const ACCOUNT = `
aws('s3').create_bucket(Bucket='work', CreateBucketConfiguration=dict(LocationConstraint='eu-west-1'))
aws('dynamodb').create_table(TableName='progress', BillingMode='PAY_PER_REQUEST',
  AttributeDefinitions=[dict(AttributeName=n, AttributeType='S') for n in ['pk', 'sk']],
  KeySchema=[dict(AttributeName='pk', KeyType='HASH'), dict(AttributeName='sk', KeyType='RANGE')])
urls = {n: aws('sqs').create_queue(QueueName=n)['QueueUrl'] for n in ['items', 'control', 'dead']}
secret = aws('secretsmanager').create_secret(Name='webhooks', SecretString='master')['ARN']
print(json.dumps(dict(urls, secret=secret)))`;

export const POLICY = {
  plans: [
    { name: 'standard', requestsPerMinute: 600, tokensPerMinute: 200_000 },
    { name: 'chatOnly', requestsPerMinute: 600, tokensPerMinute: 200_000, models: ['llama'] },
  ],
  tenants: [
    { name: 'acme', plan: 'standard' },
    { name: 'other', plan: 'standard' },
  ],
  backends: [{ name: 'gpu', url: 'https://gpu.example' }],
  models: [
    { name: 'llama', backends: ['gpu'] },
    { name: 'embedder', kind: 'embedding', backends: ['gpu'] },
    { name: 'search', kind: 'service', backends: ['gpu'] },
  ],
  batch: { maxRequests: 1000, maxLineBytes: 4096, maxFileBytes: 16 * 1024 * 1024 },
};

/** How a stand-in for a worker treats an item; a string is its error. */
export type Treatment = (
  request: { readonly custom_id: string },
  message: ItemMessage,
) => ResultLine['response'] | string;

/** Background work on moto: the built functions, and a stand-in for the workers. */
export class BatchAccount {
  private constructor(
    private readonly moto: MotoServer,
    /** What notes the calls of each function. */
    public readonly recorders: Readonly<Record<'api' | 'control', Recorder>>,
    private readonly front: ChildProcess,
    private readonly folder: string,
    public readonly environment: NodeJS.ProcessEnv,
    public readonly baseUrl: string,
  ) {}

  public static async start(policy: object = POLICY): Promise<BatchAccount> {
    const moto = await startMoto();
    const urls = moto.python(ACCOUNT) as Record<'items' | 'control' | 'dead' | 'secret', string>;
    const folder = mkdtempSync(join(tmpdir(), 'batch-'));
    const POLICY_FILE = join(folder, 'policy.json');
    writeFileSync(POLICY_FILE, JSON.stringify(policy));
    const environment = {
      ...moto.environment,
      ...{ BATCH_BUCKET: 'work', BATCH_TABLE: 'progress', POLICY_FILE },
      ...{ WORK_QUEUE_URL: urls.items, CONTROL_QUEUE_URL: urls.control, DEAD_LETTER_QUEUE_URL: urls.dead },
      WEBHOOK_SECRET_ARN: urls.secret,
    };
    const recorders = {
      api: await startRecorder('batch-api', environment),
      control: await startRecorder('batch-control', environment),
    };
    const { api, control } = recorders;
    const ways = {
      ...{ AWS_OF_API: api.environment.AWS_ENDPOINT_URL, AWS_OF_CONTROL: control.environment.AWS_ENDPOINT_URL },
    };
    const front = spawn(process.execPath, [resolve(__dirname, 'batch-front.mjs')], {
      ...{
        env: { ...environment, ...ways },
        stdio: ['ignore', process.env.FRONT_LOG ? 'inherit' : 'ignore', 'pipe', 'ipc'],
      },
    });
    const port = await new Promise<string>((ready, failed) => {
      let told = '';
      front.stderr?.on('data', (part: Buffer) => {
        told += part.toString();
        if (/^\d+\n/.test(told)) ready(told.trim());
      });
      front.once('exit', () => {
        failed(new Error(told));
      });
    });
    return new BatchAccount(moto, recorders, front, folder, environment, `http://127.0.0.1:${port}`);
  }

  public get stores() {
    return batchStores(this.environment);
  }

  public queue(name: 'CONTROL' | 'WORK' | 'DEAD_LETTER'): Queue {
    return new Queue(awsService(this.environment, 'sqs', 10_000), this.environment[`${name}_QUEUE_URL`]!);
  }

  /** An official client of a tenant. */
  public client(tenant: string, plan = 'standard'): OpenAI {
    return new OpenAI({ baseURL: `${this.baseUrl}/v1`, apiKey: `${tenant}:${plan}`, maxRetries: 0 });
  }

  /** Invokes the control function. */
  public async invoke(event: object, remainingMs?: number): Promise<string | null> {
    const answer = await fetch(`${this.baseUrl}/invoke`, {
      ...{ method: 'POST', body: JSON.stringify({ event, remainingMs }) },
    });
    return ((await answer.json()) as { failure: string | null }).failure;
  }

  /** Has the control function take what waits in its queue, and gives the kinds of what it took. */
  public async control(remainingMs?: number): Promise<readonly string[]> {
    const queue = this.queue('CONTROL');
    const kinds: string[] = [];
    for (let received = await queue.receive({ most: 1 }); received[0]; received = await queue.receive({ most: 1 })) {
      const [{ body, receipt, receiveCount }] = received;
      const attributes = { ApproximateReceiveCount: String(receiveCount) };
      kinds.push((JSON.parse(body) as { kind: string }).kind);
      const failure = await this.invoke({ Records: [{ body, receiptHandle: receipt, attributes }] }, remainingMs);
      if (failure !== null) throw new Error(failure);
      await queue.remove([receipt]);
    }
    return kinds;
  }

  /** Does what a worker does with all items that wait, and gives their lines. */
  public async work(treat: Treatment): Promise<readonly number[]> {
    const [queue, stores] = [this.queue('WORK'), this.stores];
    const desk = stores.desk();
    const lines: number[] = [];
    for (let received = await queue.receive(); received.length > 0; received = await queue.receive()) {
      const messages = received.map(({ body }) => JSON.parse(body) as ItemMessage);
      const claims = await desk.claim(messages, 60_000);
      const ended = await Promise.all(
        messages.map(async (message, i) => {
          const claim = claims[i]!;
          if (claim.kind === 'over') return [{ ...message, outcome: 'skipped' as const }];
          if (claim.kind !== 'claimed') return [];
          const range = { from: message.offset, to: message.offset + message.length - 1 };
          const request = JSON.parse((await stores.bucket.text(message.input, range))!) as { custom_id: string };
          const treated = treat(request, message);
          const result =
            typeof treated === 'string'
              ? faultLine(message, request.custom_id, { code: treated, message: treated })
              : answeredLine(message, request.custom_id, treated!);
          await stores.results.write(message, result);
          lines.push(message.line);
          return [{ ...message, outcome: outcomeOf(result) }];
        }),
      );
      await desk.finish(ended.flat());
      await queue.remove(received.map(({ receipt }) => receipt));
    }
    return lines.sort((a, b) => a - b);
  }

  public async end(): Promise<void> {
    const gone = new Promise((finish) => this.front.once('exit', finish));
    this.front.kill();
    await gone;
    await Promise.all([this.recorders.api.close(), this.recorders.control.close()]);
    await this.moto.close();
    rmSync(this.folder, { recursive: true });
  }
}

/** A line that asks a model. */
export function chatLine(id: string, content = 'Hello', model = 'llama'): string {
  const body = { model, messages: [{ role: 'user', content }] };
  return JSON.stringify({ custom_id: id, method: 'POST', url: '/v1/chat/completions', body });
}

/** An answer of status 200. */
export function answer(text: string): NonNullable<ResultLine['response']> {
  const usage = { prompt_tokens: 3, completion_tokens: 2, total_tokens: 5 };
  const body = { choices: [{ message: { role: 'assistant', content: text } }], usage };
  return { status_code: 200, request_id: 'request-1', body };
}
