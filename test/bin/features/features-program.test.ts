import { describe, expect, it } from '@jest/globals';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { batchesOf } from '../../../bin/features/ingest-records';
import { featuresProgram } from '../../../bin/features/features-program';
import { UserError } from '../../../bin/user-error';

const folder = mkdtempSync(join(tmpdir(), 'features-'));
const SPEND = { name: 'spend', entity: 'customer', type: 'number', ttlSeconds: 60, sourceVersion: 'v1', default: 0 };

function file(name: string, content: unknown): string {
  const path = join(folder, name);
  writeFileSync(path, typeof content === 'string' || Buffer.isBuffer(content) ? content : JSON.stringify(content));
  return path;
}

const define = (...features: object[]) => ({ name: 'shop', features });
const pinned = file('pinned.json', define(SPEND));

async function check(definition: string, ...options: string[]): Promise<string> {
  const printed: string[] = [];
  const program = featuresProgram((text) => printed.push(text)).exitOverride();
  await program.parseAsync(['check', definition, '--pinned', pinned, ...options], { from: 'user' });
  return printed.join('');
}

describe('features check', () => {
  it('lists what has changed and is allowed', async () => {
    const next = file('next.json', define({ ...SPEND, ttlSeconds: 90 }, { ...SPEND, name: 'orders' }));
    expect(await check(next)).toBe(
      'allowed  features["spend"].ttlSeconds: has changed from 60 to 90\nallowed  features["orders"]: is new\n',
    );
    expect(await check(pinned)).toBe('nothing has changed\n');
  });

  it('fails on what breaks readers, and says what to do', async () => {
    const broken = file('broken.json', define({ ...SPEND, type: 'text', default: 'x' }));
    await expect(check(broken)).rejects.toThrow(UserError);
    await expect(check(broken)).rejects.toThrow(
      'not backward compatible, by 1 change:\nbreaks   features["spend"].type: has changed from "number" to "text"; add a feature',
    );
    expect(await check(broken, '--compatibility', 'none')).toContain('allowed  features["spend"].type');
  });

  it.each([
    ['garbage.json', '{', 'is not valid JSON'],
    ['faulty.json', define({ ...SPEND, ttlSeconds: 0 }), 'features[0].ttlSeconds: must be a whole number'],
  ])('names what is wrong with %s', async (name, content, message) => {
    await expect(check(file(name, content))).rejects.toThrow(message);
  });

  it('names a file that is not there', async () => {
    await expect(check(join(folder, 'none.json'))).rejects.toThrow(/cannot read .*none.json: ENOENT/);
  });
});

describe('features ingest', () => {
  it.each([
    ['{"a":1}\n{"a":', 'line 2: is not valid JSON'],
    ['[1]', 'line 1: is not a JSON object'],
    ['{"a":9007199254740993}', 'line 1: holds the number 9007199254740993, which a 64-bit number does not keep'],
    [Buffer.from('{"key":"a"}\n{"key":"caf\u00e9"}', 'latin1'), 'line 2: is not UTF-8'],
    ['{"a":1}\n\n{"a":2}\n \n\n', 'line 2: is an empty line'],
  ])('sends nothing of a file with a line that is no record: %s', async (content, message) => {
    const program = featuresProgram(() => undefined).exitOverride();
    const records = file('records.jsonl', content);
    const asked = program.parseAsync(
      ['ingest', records, '--function', 'ingest', '--aws-endpoint', 'http://127.0.0.1:9'],
      {
        from: 'user',
      },
    );
    await expect(asked).rejects.toThrow(new RegExp(`records\\.jsonl, ${message}`));
  });

  it('cuts calls by records and by bytes, below what Lambda takes', () => {
    const small = Array.from({ length: 2500 }, (_, key) => ({ key }));
    expect([...batchesOf(small)].map(({ length }) => length)).toEqual([1000, 1000, 500]);
    const large = Array.from({ length: 9 }, () => ({ key: 'é'.repeat(700_000) }));
    const calls = [...batchesOf(large)];
    expect(calls.map(({ length }) => length)).toEqual([3, 3, 3]);
    for (const records of calls) expect(Buffer.byteLength(JSON.stringify({ records }))).toBeLessThan(5_100_000);
    expect([...batchesOf([{ key: 'x'.repeat(6_000_000) }, { key: '' }])].map(({ length }) => length)).toEqual([1, 1]);
    expect([...batchesOf([])]).toEqual([]);
  });

  it('says what was taken where a call fails, and from which line to go on; a byte order mark is no part of a line', async () => {
    const keys: unknown[] = [];
    const server = createServer((request, response) => {
      const pieces: Buffer[] = [];
      request.on('data', (piece: Buffer) => pieces.push(piece));
      request.on('end', () => {
        const { records } = JSON.parse(Buffer.concat(pieces).toString()) as { records: { key: number }[] };
        keys.push(records[0]!.key);
        if (keys.length > 1) response.writeHead(403).end('{"message":"no"}');
        else response.end(JSON.stringify({ taken: 1000, quarantined: [] }));
      });
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const records = file(
      'many.jsonl',
      `\ufeff${Array.from({ length: 1500 }, (_, key) => `{"key":${key}}`).join('\r\n')}`,
    );
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const program = featuresProgram(() => undefined).exitOverride();
    const asked = program.parseAsync(['ingest', records, '--function', 'ingest', '--aws-endpoint', url], {
      from: 'user',
    });
    await expect(asked).rejects.toThrow(/; taken in 1000 so far: go on from line 1001$/);
    server.close();
    expect(keys).toEqual([0, 1000]);
  });
});
