import { createServer, type AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from '@jest/globals';
import OpenAI from 'openai';
import { policyFile } from './policy';
import { CliProcess, type RunningPlatform, startPlatform } from './processes';

const PIPELINE = join(__dirname, '../../examples/documentation-pipeline.json');

const failing = async (args: readonly string[], environment: Record<string, string> = {}) => {
  const cli = new CliProcess(args, environment);
  const code = await cli.exitCode();
  return { code, lines: cli.errors.trimEnd().split('\n'), output: cli.output };
};

describe('the command line says in one line what is wrong', () => {
  it.each<[string, string[], string]>([
    ['a port that is none', ['start', '--port', 'x'], 'whole number from 0 to 65535'],
    ['a port beyond the last', ['start', '--port', '65536'], 'whole number from 0 to 65535'],
    ['an unknown option', ['start', '--prot', '1'], "unknown option '--prot'"],
    ['an unknown command', ['serve'], "unknown command 'serve'"],
    ['a backend without an address', ['start', '--backend', 'chat-gpu'], 'must be NAME=URL'],
    ['a backend with an address that is none', ['start', '--backend', 'chat-gpu=localhost'], 'must be NAME=URL'],
    ['an unknown backend', ['start', '--backend', 'no-gpu=http://localhost:1'], 'no such backend, only chat-gpu'],
    ['a pipeline without its file', ['start', '--pipeline', 'retrieval'], 'It must be BACKEND=FILE'],
    ['a pipeline that is not there', ['start', '--pipeline', 'retrieval=/no/such.json'], 'cannot be read: ENOENT'],
    ['a pipeline of no backend', ['start', '--pipeline', `other=${PIPELINE}`], '--pipeline other, backend: must name'],
    [
      'a pipeline of chats',
      ['start', '--pipeline', `chat-gpu=${PIPELINE}`],
      '"chat-gpu" answers services, and the model',
    ],
    ['records that are not there', ['features', 'ingest', '/no/such.jsonl', '--function', 'x'], 'cannot read /no/such'],
    ['a policy that is not there', ['start', '--policy', '/no/such/file.json'], 'cannot read the policy'],
    ['a policy that is no JSON', ['start', '--policy', policyFile('{"plans":')], 'is not valid JSON'],
    ['a load that is not there', ['simulate', '--trace', '/no/such.csv'], 'cannot read /no/such.csv: ENOENT'],
    [
      'a row of a load',
      ['simulate', '--trace', policyFile('time,input,output\n0,1,x\n')],
      'line 2, column output: must be',
    ],
    ['an unknown balancer', ['simulate', '--balancer', 'random'], 'Allowed choices are round-robin'],
    ['a number that is none', ['simulate', '--boot', 'soon'], 'It must be a number above 0'],
  ])('about %s', async (_, args, words) => {
    const { code, lines, output } = await failing(args);
    expect(lines).toEqual([expect.stringContaining(words)]);
    expect([code, output]).toEqual([1, '']);
  });

  it.each([
    ['of another protocol', 'http://localhost:6379', 'must be an address such as redis://'],
    ['where nobody listens', 'redis://127.0.0.1:1', 'cannot connect to 127.0.0.1:1 (ECONNREFUSED)'],
  ])('about a store %s', async (_, url, words) => {
    const { code, lines } = await failing(['start'], { VALKEY_URL: url });
    expect([code, lines]).toEqual([1, [expect.stringContaining(words)]]);
  });

  it('about a taken port', async () => {
    const server = createServer().listen(0, '127.0.0.1');
    await new Promise((resolve) => server.once('listening', resolve));
    const { port } = server.address() as AddressInfo;
    const { code, lines } = await failing(['start', '--port', String(port)]);
    server.close();
    expect([code, lines]).toEqual([1, [expect.stringContaining(`port ${port} is taken`)]]);
  });

  it('and in one line for each fault of a policy', async () => {
    const policy = {
      plans: [{ name: 'Standard', requestsPerMinute: 0, tokensPerMinute: 100 }],
      tenants: [{ name: 'acme', plan: 'gold' }],
      backends: [{ name: 'gpu', url: 'ftp://x' }],
      models: [{ name: 'm', backends: ['other'] }],
    };
    const { code, lines } = await failing(['start', '--policy', policyFile(policy)]);
    expect(code).toBe(1);
    expect(lines[0]).toContain('the policy has 5 faults');
    for (const path of [
      'plans[0].name',
      'plans[0].requestsPerMinute',
      'tenants[0].plan',
      'backends[0].url',
      'models[0].backends[0]',
    ]) {
      expect(lines).toContainEqual(expect.stringContaining(`${path}: `));
    }
    expect(lines).toHaveLength(6);
  });
});

it('simulates the reference policy without a word to the progress of a log', async () => {
  const { code, lines, output } = await failing(['simulate', '--hours', '0.2', '--rate', '4', '--max', '6']);
  expect(lines).toEqual(['']);
  expect(output).toContain('first token in time');
  expect(code).toBe(0);
});

it('explains itself with an example', async () => {
  const help = new CliProcess(['start', '--help']);
  expect(await help.exitCode()).toBe(0);
  expect(help.output).toContain('npm start -- --policy policy.json');
});

describe('the reference policy', () => {
  let platform: RunningPlatform;
  afterEach(() => platform.process.end());

  it('is served within 5 seconds, with a key for each tenant', async () => {
    const startedAt = performance.now();
    platform = await startPlatform([]);
    const client = new OpenAI({ baseURL: platform.baseUrl, apiKey: platform.demoKey, maxRetries: 0 });
    await client.models.list();
    expect(performance.now() - startedAt).toBeLessThan(5000);
    expect(platform.process.output).toMatch(/acme +standard +sk-local-acme-[0-9a-f]{24}/);
    expect(platform.process.output).toMatch(/globex +premium +sk-local-globex-[0-9a-f]{24}/);
    expect(platform.process.errors).toBe('');
  });

  it.each<NodeJS.Signals>(['SIGINT', 'SIGTERM'])(
    'ends cleanly on %s: an answer in progress is finished',
    async (signal) => {
      platform = await startPlatform([]);
      const client = new OpenAI({ baseURL: platform.baseUrl, apiKey: platform.demoKey, maxRetries: 0 });
      const [model] = (await client.models.list()).data;
      const stream = await client.chat.completions.create({
        model: model!.id,
        messages: [{ role: 'user', content: 'Tell me a long story about a llama' }],
        stream: true,
      });
      let text = '';
      let exit: Promise<number | null> | undefined;
      for await (const chunk of stream) {
        text += chunk.choices[0]?.delta.content ?? '';
        // Twice, as npm does: it passes on what the terminal has already sent.
        exit ??= (platform.process.end(signal), platform.process.end(signal));
      }
      expect(text).toContain('a long story about a llama');
      expect(await exit).toBe(0);
      expect(platform.process.errors).toBe('');
    },
  );
});
