import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, statSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import OpenAI, { APIError } from 'openai';
import { type ModelStub, startModelStub } from '../../bin/start/model-stub';
import { policyFile } from './policy';
import { CliProcess, type RunningPlatform, startPlatform } from './processes';

const KEY = 'sk-test-searching-tenant';
const CHAT_KEY = 'sk-test-chatting-tenant';
const OPEN_MS = 1500;

const POLICY = {
  plans: [
    { name: 'all', requestsPerMinute: 6000, tokensPerMinute: 10_000_000, maxTokensPerRequest: 16_384 },
    { name: 'chat', requestsPerMinute: 6000, tokensPerMinute: 100_000, models: ['assistant'] },
  ],
  tenants: [
    { name: 'acme', plan: 'all', keys: [KEY] },
    { name: 'hooli', plan: 'chat', keys: [CHAT_KEY] },
  ],
  backends: [
    { name: 'gpu' },
    { name: 'embedder', timeouts: { firstTokenMs: 20_000 } },
    {
      name: 'index',
      timeouts: { firstTokenMs: 1000, totalMs: 10_000 },
      retries: { max: 0 },
      breaker: { window: { kind: 'count', size: 4 }, minimumCalls: 4, openMs: OPEN_MS, halfOpenProbes: 1 },
    },
    { name: 'standby' },
  ],
  models: [
    { name: 'assistant', backends: ['gpu'] },
    { name: 'bge-m3', kind: 'embedding', backends: ['embedder'] },
    { name: 'search', kind: 'service', backends: ['index', 'standby'] },
    { name: 'strict-search', kind: 'service', backends: ['index'] },
  ],
  cache: { ttlSeconds: 60 },
};

const PAGE = 'fast-levenshtein.md';
const QUESTION = 'Levenshtein distance of strings with a Collator';
const CONFIG = join(__dirname, '../../examples/documentation-pipeline.json');

interface Found {
  readonly version: string;
  readonly matches: readonly { readonly fields: { readonly uri: string; readonly text: string } }[];
}

/** A server for embeddings that can be told to hear calls and say nothing. */
class EmbeddingServer {
  public isHanging = false;
  private stub: ModelStub | undefined;
  private readonly server = createServer((request, response) => void this.pass(request, response));

  public async start(): Promise<string> {
    this.stub = await startModelStub({ name: 'embedder' });
    await new Promise<void>((resolve) => this.server.listen(0, '127.0.0.1', resolve));
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  public async stop(): Promise<void> {
    this.server.closeAllConnections();
    await Promise.all([this.stub?.close(), new Promise((resolve) => this.server.close(resolve))]);
  }

  private async pass(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    if (this.isHanging) return;
    const headers = { 'content-type': 'application/json' };
    const answer = await fetch(`${this.stub!.url}${request.url}`, {
      method: 'POST',
      headers,
      body: Buffer.concat(chunks),
    });
    response.writeHead(answer.status, headers).end(await answer.text());
  }
}

/** The README of each dependency that has a short one, named for it. */
function copyPages(to: string): number {
  const root = join(__dirname, '../../node_modules');
  mkdirSync(to);
  const pages = readdirSync(root)
    .filter((name) => !name.startsWith('.'))
    .flatMap((name) => {
      const file = ['README.md', 'readme.md'].map((each) => join(root, name, each)).find((each) => sizeOf(each) > 0);
      return file !== undefined && sizeOf(file) < 6000 ? [{ name, file }] : [];
    });
  const wanted = pages.filter(({ name }, i) => i % 4 === 0 || `${name}.md` === PAGE);
  for (const { name, file } of wanted) cpSync(file, join(to, `${name}.md`));
  return wanted.length;
}

function sizeOf(file: string): number {
  return statSync(file, { throwIfNoEntry: false })?.size ?? 0;
}

describe('retrieval through the gateway', () => {
  const root = mkdtempSync(join(tmpdir(), 'retrieval-'));
  const [input, output] = [join(root, 'input'), join(root, 'out')];
  const embedder = new EmbeddingServer();
  let pages: number;
  let platform: RunningPlatform;
  let endpoint: string;
  let first: string;

  beforeAll(async () => {
    pages = copyPages(input);
    platform = await startPlatform([
      ...['--policy', policyFile(POLICY), '--workspace', output, '--pipeline', `index=${CONFIG}`],
      ...['--backend', `embedder=${await embedder.start()}`],
    ]);
    endpoint = platform.baseUrl.replace(/\/v1$/, '');
  });
  afterAll(async () => {
    await platform.process.end();
    await embedder.stop();
    rmSync(root, { recursive: true, force: true });
  });

  const clientOf = (apiKey: string) => new OpenAI({ baseURL: platform.baseUrl, apiKey, maxRetries: 0 });
  const search = async ({ service = 'search', apiKey = KEY, query = QUESTION } = {}) => {
    const body = { query, results: 10 };
    const { data, response } = await clientOf(apiKey)
      .post<Found & { readonly service?: string }>(`/services/${service}`, { body })
      .withResponse();
    const { headers } = response;
    return { ...data, servedBy: headers.get('x-served-by'), fallback: headers.get('x-fallback') };
  };
  const refusalOf = (call: Promise<unknown>) =>
    call.then(
      () => undefined,
      (error: unknown) => error as APIError,
    );
  const pipeline = async (...args: readonly string[]) => {
    const cli = new CliProcess(['pipeline', ...args, '--config', CONFIG, '--output', output], { OPENAI_API_KEY: KEY });
    expect([await cli.exitCode(), cli.errors]).toEqual([0, '']);
    return cli.output;
  };
  const run = () => pipeline('run', '--input', input, '--endpoint', endpoint);
  const pagesOf = ({ matches }: Found) => matches.map(({ fields }) => fields.uri);

  it('says what to do where nothing is published yet, and opens no breaker for it', async () => {
    for (let i = 0; i < 5; i++) {
      const error = await refusalOf(search());
      expect(error).toBeInstanceOf(APIError);
      expect(error).toMatchObject({ status: 404, code: 'nothing_published', type: 'invalid_request_error' });
      expect(error!.message).toContain('documentation has published no index yet');
      expect(error!.message).toContain('npx cdk-inference-platform pipeline run');
    }
    expect(platform.process.output).toMatch(/services +index +pipeline documentation: nothing is published yet/);
  });

  it('finds the right page as soon as a run has published it, and names its source', async () => {
    const report = await run();
    expect(report).toMatch(new RegExp(`read +${pages} records`));
    [first = ''] = /version +([0-9a-f]{32}) {2}published/.exec(report)?.slice(1) ?? [];
    const found = await search();
    expect(found).toMatchObject({ version: first, servedBy: 'index', fallback: null });
    expect(pagesOf(found)[0]).toBe(PAGE);
    expect(found.matches[0]!.fields.text).toMatch(/levenshtein/i);
  });

  it('finds a page no more when a version without it is published, and again after a roll-back', async () => {
    renameSync(join(input, PAGE), join(root, PAGE));
    const [second = ''] = /version +([0-9a-f]{32}) {2}published/.exec(await run())?.slice(1) ?? [];
    const without = await search();
    expect(without.version).toBe(second);
    expect(pagesOf(without)).not.toContain(PAGE);

    expect(await pipeline('rollback')).toContain(`readers see ${first}`);
    const again = await search();
    expect(again.version).toBe(first);
    expect(pagesOf(again)[0]).toBe(PAGE);
  });

  it('does not exist for a tenant whose plan leaves it out, nor for nobody', async () => {
    expect(await refusalOf(search({ apiKey: CHAT_KEY }))).toMatchObject({ status: 404, code: 'model_not_found' });
    expect(await refusalOf(search({ apiKey: 'sk-unknown-key' }))).toMatchObject({ status: 401 });
    expect(await refusalOf(search({ service: 'nonsense' }))).toMatchObject({ status: 404, code: 'model_not_found' });
  });

  it('refuses a wrong query with the words of the service', async () => {
    const error = await refusalOf(clientOf(KEY).post('/services/search', { body: { query: 7 } }));
    expect(error).toMatchObject({ status: 400, param: 'query' });
  });

  it('answers by the declared fallback when it hangs, asks it no more once its breaker is open, and comes back', async () => {
    embedder.isHanging = true;
    // Two of the last four calls. A question that was asked before has its vector in the gateway's cache.
    for (const query of ['one', 'two']) {
      expect(await search({ query })).toMatchObject({ servedBy: 'standby', fallback: 'timeout' });
    }
    const startedAt = performance.now();
    const answered = await search({ query: 'three' });
    expect(answered).toMatchObject({ service: 'standby', servedBy: 'standby', fallback: 'circuit_open' });
    expect(performance.now() - startedAt).toBeLessThan(700);
    expect(await refusalOf(search({ service: 'strict-search' }))).toMatchObject({
      status: 503,
      code: 'backend_unavailable',
    });

    embedder.isHanging = false;
    await delay(OPEN_MS + 100);
    expect(await search()).toMatchObject({ servedBy: 'index', fallback: null, version: first });
  });

  it('answers by the declared fallback when its index is lost', async () => {
    // Those of every version: which one answers is the roll-back's choice.
    const indexes = join(output, 'documentation', 'indexes');
    const lost = readdirSync(indexes).filter((name) => name.startsWith('documentation-'));
    for (const name of lost) renameSync(join(indexes, name), join(root, name));
    expect(await search()).toMatchObject({ servedBy: 'standby', fallback: 'backend_error' });
    for (const name of lost) renameSync(join(root, name), join(indexes, name));
    // What the fallback answered may be kept: another question.
    expect(await search({ query: 'Levenshtein' })).toMatchObject({ servedBy: 'index', version: first });
  });
});
