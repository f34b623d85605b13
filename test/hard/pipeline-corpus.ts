import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { seededRandom } from '../../bin/simulate/random';
import type { ProgressOutput } from '../../bin/progress-bar';
import { runPipeline, type RunOptions, type RunResult } from '../../bin/pipeline/run-pipeline';

/** The time that runs are for. */
export const AS_OF = '2026-11-24T00:00:00Z';
const DAY_MS = 86_400_000;
const COUNTRIES = ['CH', 'DE', 'FR', 'IT', 'AT'];

/** A pipeline of orders with one rule of each kind. */
export const ORDERS = {
  name: 'orders',
  source: { format: 'jsonLines', timeField: 'at', mostRecordBytes: 4096 },
  references: [{ name: 'countries', file: 'countries.csv', field: 'code' }],
  stages: [
    {
      name: 'check',
      work: { check: {} },
      input: {
        type: 'object',
        properties: {
          id: { type: 'string', pattern: '^o-\\d+$' },
          at: { type: 'string', format: 'date-time' },
          country: { type: 'string' },
          price: { type: 'number' },
          quantity: { type: 'integer', minimum: 1 },
          total: { type: 'number' },
          note: { type: ['string', 'null'] },
        },
        required: ['id', 'at', 'country', 'price', 'quantity', 'total'],
        additionalProperties: false,
      },
      rules: [
        { name: 'one-id-each', unique: ['id'] },
        { name: 'country-is-known', reference: { field: 'country', set: 'countries' } },
        { name: 'price-is-likely', range: { field: 'price', min: 0, max: 10_000 } },
        { name: 'total-adds-up', expression: 'total == price * quantity' },
        { name: 'in-time', time: { field: 'at', mostAgeSeconds: 7 * 86_400, mostAheadSeconds: 3600 } },
        { name: 'country-given', required: ['country'] },
      ],
    },
    {
      name: 'enrich',
      work: { function: { name: 'enrich', batchSize: 50 } },
      input: { type: 'object' },
      output: { type: 'object' },
    },
  ],
  mostFaultRate: 1,
};

/** The function of the second stage, which dies of one kind of record. */
export const ENRICH = `
export function handler({ records }) {
  return {
    results: records.map((record) => {
      if (record.note === 'poison') throw new TypeError('cannot read properties of undefined');
      return { records: [{ ...record, big: record.total > 100 }] };
    }),
  };
}
`;

export type Order = Record<string, unknown> & { id: string };

/** A valid order; times are anywhere within the days that are taken, in no order. */
export function order(number: number, random: () => number): Order {
  const price = Math.floor(random() * 80_000) / 8;
  const quantity = 1 + Math.floor(random() * 20);
  const at = new Date(Date.parse(AS_OF) - random() * 6.9 * DAY_MS).toISOString();
  const note = random() < 0.3 ? null : `Grüezi ${number} 😀`;
  return {
    id: `o-${number}`,
    at,
    country: COUNTRIES[Math.floor(random() * COUNTRIES.length)]!,
    price,
    quantity,
    total: price * quantity,
    note,
  };
}

/** A line of a corpus, and what is wrong with it. */
export interface CorpusLine {
  readonly content: Buffer;
  /** Undefined for a good one. */
  readonly fault?: string;
}

const json = (value: unknown) => Buffer.from(JSON.stringify(value));

/** Ways to break an order. Each is wrong whatever the order. */
const FAULTS: Readonly<Record<string, (good: Order, random: () => number) => Buffer>> = {
  'missing field': ({ price: _, ...rest }) => json(rest),
  'null in a field': (good) => json({ ...good, quantity: null }),
  'number as text': (good) => json({ ...good, price: String(good.price) }),
  'text as number': (good) => json({ ...good, country: 41 }),
  'object as text': (good) => json({ ...good, note: { text: 'x' } }),
  'unknown field': (good) => json({ ...good, extra: 1 }),
  'fraction of a piece': (good) => json({ ...good, quantity: 1.5 }),
  'wrong pattern': (good) => json({ ...good, id: `x${good.id}` }),
  'blank country': (good) => json({ ...good, country: ' ' }),
  'unknown country': (good) => json({ ...good, country: 'XX' }),
  'price out of range': (good) => json({ ...good, price: -1, total: -(good.quantity as number) }),
  'wrong total': (good) => json({ ...good, total: (good.total as number) + 1 }),
  'late by a month': (good) => json({ ...good, at: new Date(Date.parse(AS_OF) - 30 * DAY_MS).toISOString() }),
  'from tomorrow': (good) => json({ ...good, at: new Date(Date.parse(AS_OF) + DAY_MS).toISOString() }),
  'no time': (good) => json({ ...good, at: '2026-02-30T00:00:00Z' }),
  'other encoding': (good) => Buffer.from(JSON.stringify({ ...good, note: 'Zürich' }), 'latin1'),
  'cut off within a letter': (good) => Buffer.from(JSON.stringify({ ...good, note: '😀' })).subarray(0, -4),
  'half a pair': (good) => Buffer.from(JSON.stringify({ ...good, note: 'x' }).replace('"x"', '"\\ud83d"')),
  'zero bytes': (good) => Buffer.from(JSON.stringify(good), 'utf16le'),
  'not JSON': (good) => Buffer.from(JSON.stringify(good).slice(0, -5)),
  'two records on a line': (good) => Buffer.from(JSON.stringify(good) + JSON.stringify(good)),
  'a list': (good) => json([good]),
  'empty object': () => json({}),
  'empty line': () => Buffer.from(''),
  'far too large': (good) => json({ ...good, note: 'x'.repeat(100_000) }),
  'far too deep': (good) =>
    Buffer.from(JSON.stringify({ ...good, note: 'x' }).replace('"x"', '['.repeat(500) + ']'.repeat(500))),
  'infinite number': (good) => Buffer.from(JSON.stringify({ ...good, total: 'x' }).replace('"x"', '1e999')),
  'prototype as field': (good) => Buffer.from(JSON.stringify(good).replace('{', '{"__proto__":{"x":1},')),
  poison: (good) => json({ ...good, note: 'poison' }),
};

/** The same line again, some lines later: a duplicate is a fault of the later one. */
const DUPLICATE = 'duplicate';

export const FAULT_NAMES = [...Object.keys(FAULTS), DUPLICATE];

/** A corpus from a seed: a share of the lines is at fault, of each kind alike. */
export function corpus(seed: number, lines: number, faultShare: number): CorpusLine[] {
  const random = seededRandom(seed, 1);
  const good: Order[] = [];
  let kind = 0;
  return Array.from({ length: lines }, (_, number): CorpusLine => {
    const fresh = order(number, random);
    if (random() >= faultShare || good.length === 0) {
      good.push(fresh);
      return { content: json(fresh) };
    }
    const fault = FAULT_NAMES[kind++ % FAULT_NAMES.length]!;
    if (fault !== DUPLICATE) return { content: FAULTS[fault]!(fresh, random), fault };
    return { content: json(good[Math.floor(random() * good.length)]), fault };
  });
}

/** A directory with a definition, its references and input, for the time of a test. */
export class PipelineSandbox {
  public readonly root = mkdtempSync(join(tmpdir(), 'pipeline-test-'));

  constructor(public readonly definition: object = ORDERS) {
    this.write('pipeline.json', JSON.stringify(definition));
    this.write('countries.csv', `code\n${COUNTRIES.join('\n')}\n`);
    this.write('enrich.mjs', ENRICH);
  }

  public write(name: string, content: string | Buffer): void {
    mkdirSync(dirname(join(this.root, name)), { recursive: true });
    writeFileSync(join(this.root, name), content);
  }

  public path(name: string): string {
    return join(this.root, name);
  }

  /** Arguments of `pipeline run` for this directory. */
  public args(): string[] {
    return ['--config', this.path('pipeline.json'), '--input', this.path('input'), '--output', this.path('out')];
  }

  public options(change: Partial<RunOptions> = {}): RunOptions {
    const place = { config: this.path('pipeline.json'), input: this.path('input'), output: this.path('out') };
    return { ...place, asOf: AS_OF, code: 'test', ...change };
  }

  public run(change: Partial<RunOptions> = {}): Promise<RunResult> {
    const silent: ProgressOutput = { write: () => true };
    return runPipeline(this.options(change), silent);
  }

  public remove(): void {
    rmSync(this.root, { recursive: true, force: true });
  }
}
