import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, describe, expect, test } from '@jest/globals';
import { runSimulation, type SimulateOptions } from '../../../bin/simulate/run-command';
import { progressBar } from '../../../bin/progress-bar';
import { UserError } from '../../../bin/user-error';

const folder = mkdtempSync(path.join(tmpdir(), 'simulate-'));
afterAll(() => rmSync(folder, { recursive: true }));

function write(name: string, content: string): string {
  const file = path.join(folder, name);
  writeFileSync(file, content);
  return file;
}

const options: SimulateOptions = {
  hours: 0.5,
  instances: [],
  minCapacity: 3,
  maxCapacity: 20,
  bootSeconds: 120,
  zones: 3,
  balancing: 'least-outstanding-requests',
  maxConcurrency: 64,
  signal: 'fleet-load',
  seed: 1,
};

function run(changes: Partial<SimulateOptions> = {}): string {
  let printed = '';
  runSimulation(
    { ...options, ...changes },
    { print: (text) => (printed += text), progress: { write: () => expect(true).toBe(false) } },
  );
  return printed;
}

describe('simulate', () => {
  test('prints what a load costs and how soon it is answered, the same each time', () => {
    const printed = run();
    expect(printed).toContain('qwen3-8b: fleet-load, least-outstanding-requests');
    expect(printed).toMatch(/served +100\.00 %/);
    expect(printed).toMatch(/GPU-hours +\d+\.\d/);
    expect(printed).toContain('by chat-backup-gpu');
    expect(run()).toBe(printed);
    expect(run({ seed: 2 })).not.toBe(printed);
  });

  test('replays a trace, request by request', () => {
    const traceFile = write('trace.csv', 'time,input,output\n0,100,10\n1,200,20\n60,300,30\n');
    const printed = run({ traceFile, hours: undefined });
    expect(printed).toContain('3 requests in 60.0 s');
    expect(printed).toContain('mean 200 tokens in, 20 out');
  });

  test('says how much each instance has room for, and nothing where servers queue', () => {
    expect(run()).toMatch(/room of chat-gpu +90,304 tokens in progress for each instance/);
    expect(run({ tokensPerInstance: 50_000 })).toMatch(/room of chat-gpu +50,000 tokens/);
    expect(run({ boundedAdmission: false })).not.toContain('room of');
  });

  test('computes one vector for each request of a model that embeds', () => {
    expect(run({ model: 'bge-m3' })).toMatch(/mean 1\d{3} tokens in, 1 out/);
  });

  test('draws a single request', () => {
    const svgFile = path.join(folder, 'one.svg');
    run({ traceFile: write('one.csv', 'time,input,output\n0,100,10\n'), hours: undefined, svgFile });
    expect(readFileSync(svgFile, 'utf8')).not.toMatch(/NaN|Infinity|\d{7}/);
  });

  test("replays an envelope with a trace's lengths, at the rate that is asked for", () => {
    const rows = Array.from({ length: 144 }, (_, window) => `${window * 600},5`);
    const printed = run({
      traceFile: write('lengths.csv', 'time,input,output\n0,100,10\n'),
      envelopeFile: write('rates.csv', `t,rps\n${rows.join('\n')}\n`),
      column: 'rps',
      rate: 2,
      hours: 1,
    });
    const [, requests] = /([\d,]+) requests in 60\.0 min/.exec(printed)!;
    expect(Number(requests!.replace(',', '')) / 7200).toBeCloseTo(1, 1);
    expect(printed).toContain('mean 100 tokens in, 10 out');
  });

  test('draws load, capacity, latency and the loss of a zone', () => {
    const svgFile = path.join(folder, 'plot.svg');
    const printed = run({ svgFile, loseZoneAtHours: 0.25, minCapacity: 6 });
    expect(printed).toContain('hour from 15.0 min');
    const svg = readFileSync(svgFile, 'utf8');
    expect(svg).toMatch(/^<svg [^>]*viewBox="0 0 860 \d+"/);
    for (const word of ['requests a second', 'in service', 'p99', 'zone lost', 'minutes']) expect(svg).toContain(word);
    expect(svg).not.toMatch(/NaN|Infinity|undefined/);
    expect(svg.match(/<path d="M/g)).toHaveLength(5);
  });

  test('takes instances by profiles of its own, written as JSON', () => {
    const profile = { stepMs: 20, stepMsPerRequest: 0.2, prefillTokensPerSecond: 20_000, stepTokens: 4096 };
    const file = write('fast.json', JSON.stringify({ ...profile, maxRequests: 128, kvTokens: 100_000, gpus: 1 }));
    const printed = run({ instances: [file], signal: 'static' });
    expect(printed).toMatch(/GPU-hours +3\.0 {2}\(3\.0 instance-hours\)/);
  });

  test.each<[string, () => Partial<SimulateOptions>, RegExp]>([
    [
      'a trace that is not there',
      () => ({ traceFile: '/no/such.csv', hours: undefined }),
      /^cannot read \/no\/such\.csv: ENOENT$/,
    ],
    [
      'a trace with a rate',
      () => ({ traceFile: write('t.csv', 'time,input,output\n0,1,1\n'), rate: 3 }),
      /^--rate goes/,
    ],
    [
      'a trace with an hour',
      () => ({ traceFile: write('t.csv', 'time,input,output\n0,1,1\n'), hours: 1 }),
      /^--hours goes with an --envelope; a --trace without one is replayed as it is$/,
    ],
    ['a day of no envelope', () => ({ day: 2 }), /^--day goes with an --envelope$/],
    ['more requests than fit', () => ({ rate: 1_000_000 }), /comes to \d+ requests, and at most 12000000 are replayed/],
    ['more hours than a year', () => ({ hours: 100_000_000 }), /^--hours must be at most 8784, got 100000000$/],
    [
      'a part of a window',
      () => ({ envelopeFile: write('r.csv', 't,rps\n0,5\n600,5\n'), column: 'rps', hours: 0.3 }),
      /is cut by whole windows of 600 s; 0\.3 h are 1\.8 of them/,
    ],
    [
      'the only zone as one of several',
      () => ({ survivesZoneLoss: true, zones: 1 }),
      /^--survives-zone-loss needs --zones of at least 2, got 1$/,
    ],
    ['a start above the most', () => ({ initialCapacity: 100 }), /^--initial must be from --min \(3\) to --max \(20\)/],
    [
      'a rating for a signal that needs none',
      () => ({ signal: 'concurrency', tokensPerInstance: 9 }),
      /^--tokens-per-instance is for --scaling fleet-load, got --scaling concurrency$/,
    ],
    ['a target that nothing follows', () => ({ signal: 'static', target: 5 }), /--scaling static follows none/],
    ['a service', () => ({ model: 'retrieval' }), /the model retrieval is a service/],
    ['an envelope without a column', () => ({ envelopeFile: 'rates.csv' }), /--envelope needs --column/],
    [
      'bounds the wrong way round',
      () => ({ minCapacity: 9, maxCapacity: 3 }),
      /--max must be at least --min \(9\), got 3/,
    ],
    ['an unknown model', () => ({ model: 'gpt' }), /the policy has no model gpt; it has qwen3-8b, bge-m3/],
    ['an unknown profile', () => ({ instances: ['a10'] }), /--instance a10: no such profile; write llama2-70b-a100x4/],
    ['a profile that is no JSON', () => ({ instances: [write('bad.json', '{')] }), /bad\.json is not valid JSON/],
    [
      'a profile with a field too many',
      () => ({ instances: [write('bad.json', '{"speed":1}')] }),
      /speed is not a known/,
    ],
    [
      'a profile of nothing',
      () => ({ instances: [write('bad.json', '{}')] }),
      /stepMs must be a number above 0, got noth/,
    ],
    ['a zone lost after the end', () => ({ loseZoneAtHours: 1 }), /must be before the end of the load, 0\.50 h/],
    ['the loss of the only zone', () => ({ loseZoneAtHours: 0.1, zones: 1 }), /needs --zones of at least 2, got 1/],
    ['a plot into nowhere', () => ({ svgFile: '/no/such/plot.svg' }), /^cannot write \/no\/such\/plot\.svg: ENOENT$/],
  ])('refuses %s in one line', (_, changes, message) => {
    const attempt = () => run(changes());
    expect(attempt).toThrow(UserError);
    expect(attempt).toThrow(message);
  });
});

describe('the progress bar', () => {
  test('is drawn on a terminal, once a per cent, and gone at the end', () => {
    const written: string[] = [];
    const show = progressBar('simulate', { isTTY: true, write: (text) => written.push(text) });
    for (const share of [0, 0.001, 0.5, 1]) show(share);
    expect(written).toHaveLength(3);
    expect(written[1]).toContain('███████████████░░░░░░░░░░░░░░░  50 %');
    expect(written[2]).toBe('\r\u001b[2K');
  });

  test('is silent where there is no terminal', () => {
    progressBar('simulate', { write: () => expect(true).toBe(false) })(0.5);
  });
});
