import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { request as send } from 'node:http';
import { setTimeout as pause } from 'node:timers/promises';
import { policyFile } from '../end-to-end/policy';
import { type RunningPlatform, startPlatform } from '../end-to-end/processes';
import { type Behaviour, chunk, startBackend, type StubBackend } from '../lambda/stub-backend';
import { median, report } from './report';

const ROUNDS = 15;
const MOST_MS = 100;

const POLICY = {
  plans: [{ name: 'roomy', requestsPerMinute: 1_000_000, tokensPerMinute: 100_000_000 }],
  tenants: [{ name: 'acme', plan: 'roomy' }],
  backends: [{ name: 'model' }],
  models: [{ name: 'llama', backends: ['model'] }],
};

let backend: StubBackend;
let platform: RunningPlatform;

beforeAll(async () => {
  backend = await startBackend();
  platform = await startPlatform(['--policy', policyFile(POLICY), '--backend', `model=${backend.url}`]);
}, 30_000);

afterAll(async () => {
  await platform.process.end();
  await backend.close();
});

it.each<[string, { readonly stream: boolean; readonly firstToken: boolean }]>([
  ['in the middle of a stream', { stream: true, firstToken: true }],
  ['before the first token', { stream: true, firstToken: false }],
  ['while a whole answer is computed', { stream: false, firstToken: false }],
])(
  'a hang-up %s reaches the backend within 100 ms',
  async (name, { stream, firstToken }) => {
    const delays: number[] = [];
    for (let round = 0; round < ROUNDS; round++) delays.push(await hangUp(stream, firstToken));
    report(`hang-up ${name}`, {
      rounds: ROUNDS,
      'median ms': Number(median(delays).toFixed(1)),
      'most ms': Number(Math.max(...delays).toFixed(1)),
    });
    expect(median(delays)).toBeLessThan(MOST_MS);
  },
  20_000,
);

/** Milliseconds from the client's hang-up to the moment at which the backend's connection closes. */
async function hangUp(stream: boolean, firstToken: boolean): Promise<number> {
  let arrived: () => void = () => undefined;
  const arrival = new Promise<void>((resolve) => (arrived = resolve));
  const closed = new Promise<number>((resolve) => {
    const computing: Behaviour = (response) => {
      response.once('close', () => resolve(performance.now()));
      if (firstToken) response.writeHead(200, { 'content-type': 'text/event-stream' }).write(chunk('Hello'));
      arrived();
    };
    backend.behave = computing;
  });
  const request = send(`${platform.baseUrl}/chat/completions`, {
    method: 'POST',
    headers: { authorization: `Bearer ${platform.demoKey}`, 'content-type': 'application/json' },
  });
  request.on('error', () => undefined);
  const answered = new Promise((resolve) => request.once('response', (response) => response.once('data', resolve)));
  request.end(JSON.stringify({ model: 'llama', stream, messages: [{ role: 'user', content: 'Hello' }] }));
  await (firstToken ? answered : arrival);
  await pause(10);
  const hungUp = performance.now();
  request.destroy();
  return (await closed) - hungUp;
}
