import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, describe, expect, test } from '@jest/globals';
import { cutEnvelope, readEnvelope, requestsFrom } from '../../../bin/simulate/envelope';
import { seededRandom } from '../../../bin/simulate/random';
import { syntheticEnvelope, syntheticLengths } from '../../../bin/simulate/synthetic-load';
import { readLengths, readTrace } from '../../../bin/simulate/trace';
import { UserError } from '../../../bin/user-error';

const folder = mkdtempSync(path.join(tmpdir(), 'traces-'));
afterAll(() => rmSync(folder, { recursive: true }));

function file(content: string): string {
  const name = path.join(folder, 'trace.csv');
  writeFileSync(name, content);
  return name;
}

describe('a trace', () => {
  test('is read with its times from the first request on', () => {
    const trace = readTrace(file('time,input,output\n10,100,20\n10.5,7,1\r\n\n'));
    expect([...trace.arrivals]).toEqual([0, 0.5]);
    expect([...trace.inputTokens]).toEqual([100, 7]);
    expect([...trace.outputTokens]).toEqual([20, 1]);
    expect(trace.duration).toBe(0.5);
  });

  test("may be one of Azure's, with dates", () => {
    const rows = ['2023-11-16 18:15:59.6805900,374,44', '2023-11-16 18:16:00.9951690,396,109'];
    const trace = readTrace(file(`TIMESTAMP,ContextTokens,GeneratedTokens\n${rows.join('\n')}\n`));
    expect(trace.arrivals[1]).toBeCloseTo(1.314579, 6);
  });

  test.each([
    ['', /trace\.csv: is empty/],
    ['time,input,output\n', /has no row/],
    ['time,in,output\n1,2,3\n', /line 1: has no column input; it has time, in, output/],
    ['time,input,output\n0,1,2\n1,x,3\n', /line 3, column input: must be a whole number from 1 to 10000000, got "x"/],
    ['time,input,output\n0,1,0\n', /line 2, column output: must be .*, got "0"/],
    ['time,input,output\n0,1,-5\n', /line 2, column output/],
    ['time,input,output\n0,1,2.5\n', /line 2, column output/],
    ['time,input,output\n0,,2\n', /line 2, column input: .*, got nothing/],
    ['time,input,output\nsoon,1,2\n', /line 2, column time: must be seconds or a date/],
    ['time,input,output\n2023-13-40 10:00:00,1,2\n', /line 2, column time/],
    ['time,input,output\n0,1,2\n1,2\n', /line 3: must have 3 values, got 2 values/],
    ['time,input,output\n0,1,2\n\n1,2,3\n', /line 3: must have 3 values, got an empty line/],
    ['time,input,output\n5,1,2\n4,1,2\n', /line 3, column time: must not be earlier than the line before/],
  ])('with a fault is refused by file, line and column: %j', (content, message) => {
    expect(() => readTrace(file(content))).toThrow(UserError);
    expect(() => readTrace(file(content))).toThrow(message);
  });

  test('that is not there is refused by its name', () => {
    expect(() => readLengths('/no/such.csv')).toThrow('cannot read /no/such.csv: ENOENT');
  });
});

describe('a rate envelope', () => {
  const day = Array.from({ length: 144 }, (_, window) => `${window * 600},${window < 72 ? 1 : 3}`).join('\n');

  test('gives as many requests as its rates say, at their times', () => {
    const envelope = cutEnvelope(readEnvelope(file(`t_s,chat\n${day}\n`), 'chat'), { day: 0, days: 1, meanRate: 1 });
    const lengths = { inputTokens: Int32Array.of(5, 9), outputTokens: Int32Array.of(50, 90) };
    const trace = requestsFrom(envelope, lengths, seededRandom(1, 1));
    expect(trace.arrivals.length / 86_400).toBeCloseTo(1, 1);
    const early = trace.arrivals.filter((at) => at < 43_200).length;
    expect(early / trace.arrivals.length).toBeCloseTo(0.25, 1);
    expect(trace.arrivals.every((at, index) => index === 0 || at >= trace.arrivals[index - 1]!)).toBe(true);
    // Input and output of one request come from one row.
    expect(trace.inputTokens.every((input, index) => trace.outputTokens[index] === input * 10)).toBe(true);
  });

  test.each([
    ['t_s,chat\n0,1\n600,-1\n', /line 3, column chat: must be a rate of at least 0, got "-1"/],
    ['t_s,chat\n0,1\n600,1\n1100,1\n', /line 4, column t_s: windows must be 600 s apart/],
    ['t_s,chat\n0,1\n', /at least two windows/],
    ['t_s,code\n0,1\n600,1\n', /line 1: has no column chat/],
  ])('with a fault is refused: %j', (content, message) => {
    expect(() => readEnvelope(file(content), 'chat')).toThrow(message);
  });

  test('is not cut beyond its end', () => {
    const envelope = readEnvelope(file(`t_s,chat\n${day}\n`), 'chat');
    expect(() => cutEnvelope(envelope, { day: 1, days: 1 })).toThrow('has 1 days, so there are no 1 from day 1 on');
  });
});

test("the synthetic load has the means of Azure's trace, and twelve requests a second where twelve are asked for", () => {
  const lengths = syntheticLengths(seededRandom(3, 1));
  const mean = (values: ArrayLike<number>) => Array.from(values).reduce((sum, value) => sum + value, 0) / values.length;
  expect(mean(lengths.inputTokens) / 1155).toBeCloseTo(1, 1);
  expect(mean(lengths.outputTokens) / 211).toBeCloseTo(1, 1);
  expect(mean(syntheticEnvelope(12, 86_400, seededRandom(3, 2)).rates) / 12).toBeCloseTo(1, 1);
});
