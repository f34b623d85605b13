import { execFile } from 'node:child_process';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { type EmbeddedStore, startEmbeddedStore } from '../../../bin/start/embedded-store';
import { failing, type StubBackend, startBackend } from '../stub-backend';

const run = promisify(execFile);
const BUS = 'arn:aws:events:eu-west-1:111122223333:event-bus/default';

/** Runs the first argument's handler once, with the second as its event; its answer is the last line. */
const INVOKE = `
  globalThis.awslambda = {
    streamifyResponse: (handler) => handler,
    HttpResponseStream: { from: (stream) => stream },
  };
  const { PassThrough } = await import('node:stream');
  const { handler } = await import(process.argv[1]);
  const stream = new PassThrough().resume();
  const answer = await handler(JSON.parse(process.argv[2]), stream).catch((error) => ({ error: error.message }));
  console.log('\\n' + JSON.stringify(answer ?? 'sent'));
  setImmediate(() => process.exit());`;

describe('the built handlers', () => {
  let store: EmbeddedStore;
  let backend: StubBackend;
  let eventBridge: Server;
  let environment: Record<string, string>;
  const entries: { EventBusName: string; Detail: string }[] = [];

  beforeAll(async () => {
    [store, backend] = await Promise.all([startEmbeddedStore(), startBackend(failing(500))]);
    eventBridge = createServer((request, response) => {
      let text = '';
      request.on('data', (part: Buffer) => (text += part.toString()));
      request.on('end', () => {
        entries.push(...(JSON.parse(text) as { Entries: typeof entries }).Entries);
        response.end('{"FailedEntryCount":0,"Entries":[{"EventId":"e"}]}');
      });
    });
    await new Promise<void>((listening) => eventBridge.listen(0, '127.0.0.1', listening));
    const policyFile = join(mkdtempSync(join(tmpdir(), 'policy-')), 'policy.json');
    const policy = {
      plans: [{ name: 'standard', requestsPerMinute: 600, tokensPerMinute: 60_000 }],
      tenants: [{ name: 'acme', plan: 'standard' }],
      backends: [{ name: 'gpu', url: backend.url, retries: { max: 0 }, breaker: { minimumCalls: 1 } }],
      models: [{ name: 'llama', backends: ['gpu'] }],
    };
    writeFileSync(policyFile, JSON.stringify(policy));
    environment = {
      PATH: process.env.PATH!,
      AWS_REGION: 'eu-west-1',
      AWS_ACCESS_KEY_ID: 'AKID',
      AWS_SECRET_ACCESS_KEY: 'secret',
      AWS_ENDPOINT_URL_EVENTBRIDGE: `http://127.0.0.1:${(eventBridge.address() as AddressInfo).port}`,
      EVENT_BUS: BUS,
      SERVICE_NAME: 'inference-1',
      STORE_URL: store.url,
      STORE_TIMEOUT_MS: '5000',
      STORE_CONNECT_TIMEOUT_MS: '5000',
      POLICY_FILE: policyFile,
    };
  });
  afterAll(async () => {
    eventBridge.closeAllConnections();
    eventBridge.close();
    await Promise.all([store.close(), backend.close()]);
  });

  async function invoke(name: string, event: unknown) {
    const file = pathToFileURL(resolve(__dirname, '../../../dist/handlers', name, 'index.mjs')).href;
    const args = ['--input-type=module', '-e', INVOKE, file, JSON.stringify(event)];
    const { stdout } = await run(process.execPath, args, { env: environment });
    const lines = stdout.trim().split('\n').filter(Boolean);
    return { answer: JSON.parse(lines.at(-1)!) as unknown, log: lines.slice(0, -1) };
  }

  const chat = {
    httpMethod: 'POST',
    path: '/v1/chat/completions',
    headers: {},
    body: JSON.stringify({ model: 'llama', messages: [{ role: 'user', content: 'Hello' }] }),
    requestContext: { authorizer: { tenant: 'acme', plan: 'standard' } },
  };
  const told = () => entries.splice(0).map(({ EventBusName, Detail }) => [EventBusName, JSON.parse(Detail) as unknown]);

  it('tell the bus and the log of a breaker that calls have opened', async () => {
    const { log } = await invoke('inference', chat);
    const change = { backend: 'gpu', from: 'closed', to: 'open', reason: 'calls' };
    expect(told()).toEqual([[BUS, expect.objectContaining({ service: 'inference-1', ...change })]]);
    const lines = log.map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(lines.map(({ message }) => message)).toEqual(['request', 'breaker']);
    expect(lines[1]).toMatchObject({ BreakerOpened: 1, Service: 'inference-1', Backend: 'gpu' });
  });

  it('show it to an operator, who closes it, and tell of that', async () => {
    expect((await invoke('breaker-control', {})).answer).toMatchObject({
      breakers: [{ backend: 'gpu', status: 'open', openUntil: expect.any(String), forced: 'none' }],
    });
    expect(told()).toEqual([]);
    const order = { backend: 'gpu', force: 'closed', forSeconds: 60 };
    expect((await invoke('breaker-control', order)).answer).toMatchObject({
      breakers: [{ status: 'open', forced: 'closed', forcedUntil: expect.any(String) }],
    });
    const change = { backend: 'gpu', from: 'open', to: 'closed', reason: 'operator' };
    expect(told()).toEqual([[BUS, expect.objectContaining({ service: 'inference-1', ...change })]]);
  });

  it('tell an operator what is wrong with an order', async () => {
    const { answer } = await invoke('breaker-control', { backend: 'tpu', force: 'open' });
    expect(answer).toEqual({ error: 'backend: must name a backend of the policy ("gpu"), got "tpu"' });
  });

  it('serve on with a warning where the bus is not there', async () => {
    const nobody = { ...environment, AWS_ENDPOINT_URL_EVENTBRIDGE: 'http://127.0.0.1:1' };
    environment = nobody;
    const { answer, log } = await invoke('breaker-control', { backend: 'gpu', force: 'none' });
    expect(answer).toMatchObject({ breakers: [{ forced: 'none' }] });
    const warnings = log
      .map((line) => JSON.parse(line) as Record<string, unknown>)
      .filter(({ level }) => level === 'warn');
    expect(warnings).toContainEqual(expect.objectContaining({ message: 'event bus' }));
  });
});
