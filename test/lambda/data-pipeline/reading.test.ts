import { describe, expect, it, jest } from '@jest/globals';
import fc from 'fast-check';
import { csvValues } from '../../../lambda/data-pipeline/reading/csv';
import { recordFromJson } from '../../../lambda/data-pipeline/reading/decode';
import { UncleanFile } from '../../../lambda/data-pipeline/reading/file-scan';
import { linesOf } from '../../../lambda/data-pipeline/reading/lines';
import { readRanges } from '../../../lambda/data-pipeline/reading/read-shard';
import { MOST_LINE_BYTES, planShards } from '../../../lambda/data-pipeline/reading/shard-plan';
import { ReadingFault, type SourceRecord } from '../../../lambda/data-pipeline/reading/source-record';
import type { InputFiles } from '../../../lambda/data-pipeline/storage';
import { MemoryFiles } from './memory-store';

async function read(contents: Record<string, Buffer | string>, most = 1000, shardBytes = 64): Promise<SourceRecord[]> {
  const files = new MemoryFiles(
    Object.fromEntries(Object.entries(contents).map(([name, text]) => [name, Buffer.from(text)])),
  );
  const records: SourceRecord[] = [];
  const source = { mostRecordBytes: most };
  for (const shard of planShards(files.list(), source, { bytes: shardBytes, files: 3 })) {
    for await (const batch of readRanges(shard.ranges, source, files)) records.push(...batch);
  }
  return records;
}

const outcome = (source: SourceRecord) => ('fault' in source ? source.fault.rule : source.record);

describe('the reader', () => {
  it('gives each line once, wherever a file is cut and in whatever pieces it comes', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(
          fc.string({ maxLength: 9 }).map((text) => text.replace(/[\r\n]/g, '')),
          { maxLength: 12 },
        ),
        fc.boolean(),
        fc.integer({ min: 1, max: 20 }),
        fc.integer({ min: 1, max: 9 }),
        async (lines, endsWithFeed, step, piece) => {
          const content = Buffer.from(lines.join('\n') + (endsWithFeed && lines.length > 0 ? '\n' : ''));
          const files = new MemoryFiles({ f: content }, piece);
          const found: string[] = [];
          for (let from = 0; from < content.length; from += step) {
            const range = { from, to: Math.min(content.length, from + step), fileBytes: content.length };
            for await (const batch of linesOf((start, end) => files.read('f', start, end), range, 1000)) {
              for (const line of batch) {
                expect(content.subarray(line.offset, line.offset + line.bytes)).toEqual(line.content);
                found.push(line.content!.toString());
              }
            }
          }
          const expected = content.length === 0 ? [] : content.toString().replace(/\n$/, '').split('\n');
          expect(found).toEqual(expected);
        },
      ),
      { numRuns: 300 },
    );
  });

  it('tells where each record stands and what kept the others from being read', async () => {
    const content = Buffer.concat([
      Buffer.from('\ufeff{"a":1}\r\n{"a":2\n\n[1]\n'),
      Buffer.from([0x7b, 0xff, 0x7d, 0x0a]),
      Buffer.from('{"a":"\\ud800"}\n{"a":"\\ud83d\\ude00"}\n'),
      Buffer.from(`{"a":"${'x'.repeat(2000)}"}\n`),
      Buffer.from(`${'{"a":'.repeat(70)}1${'}'.repeat(70)}\n`),
      Buffer.from('{\u0000"a":1}\n{"a":3}'),
    ]);
    const records = await read({ 'x.jsonl': content });
    expect(records.map(outcome)).toEqual([
      { a: 1 },
      'json',
      'empty',
      'json',
      'encoding',
      'encoding',
      { a: '😀' },
      'size',
      'depth',
      'encoding',
      { a: 3 },
    ]);
    const last = records.at(-1)!.place;
    expect(content.subarray(last.offset, last.offset + last.bytes).toString()).toBe('{"a":3}');
  });

  it('reads CSV with quotes from the middle of a file, and a line that is broken costs itself alone', async () => {
    const rows = Array.from({ length: 20 }, (_, i) => `${i},"name, ""${i}""",`);
    const records = await read({
      'x.csv': ['id,name,note', ...rows, '99,"open', '1,2', '7,a"b,c', '8,"a"b,c', '9,x,y'].join('\n'),
    });
    expect(records.slice(0, 20).map(outcome)).toEqual(rows.map((_, i) => ({ id: String(i), name: `name, "${i}"` })));
    expect(records.slice(20).map(outcome)).toEqual(['csv', 'csv', 'csv', 'csv', { id: '9', name: 'x', note: 'y' }]);
    expect(csvValues('a,"b')).toBeInstanceOf(ReadingFault);
  });

  it('takes no number that would become another, and leaves digits in texts alone', async () => {
    const lines = [
      '{"id":9007199254740993}',
      '{"id":-12345678901234567890}',
      '{"a":[{"b":1e999}]}',
      `{"a":${'9'.repeat(400)}}`,
      '{"id":9007199254740992,"big":100000000000000000000,"pi":3.14159265358979323846,"e":1e300}',
      '{"text":"9007199254740993 and \\" 1e999","9007199254740993":1}',
      '{"id":9007199254740993.0}',
      '{"a":"\\\\","share":-1e-400}',
      '{"a":0e-400,"b":1e-300,"c":9007199254740992.0}',
    ];
    const records = await read({ 'x.jsonl': lines.join('\n') });
    expect(records.map((record) => ('fault' in record ? record.fault.reason : 'taken'))).toEqual([
      'holds the number 9007199254740993, which a 64-bit number does not keep: write it as a text',
      'holds the number -12345678901234567890, which a 64-bit number does not keep: write it as a text',
      'holds the number 1e999, which a 64-bit number does not keep: write it as a text',
      'holds a number of 400 characters, which a 64-bit number does not keep: write it as a text',
      'taken',
      'taken',
      'holds the number 9007199254740993.0, which a 64-bit number does not keep: write it as a text',
      'holds the number -1e-400, which a 64-bit number does not keep: write it as a text',
      'taken',
    ]);
  });

  it('takes no record that names a field twice, of which the last would win', async () => {
    const lines = [
      '{"id":1,"id":2}',
      '{"id":1,"\\u0069d":2}',
      '{"a":{"b":1},"c":[{"b":1},{"b" : 1, "b":{"x":1}}]}',
      '{"a":{"b":1},"b":"\\"b\\":","c":[{"b":1},{"b":1}],"constructor":1,"__proto__":1}',
    ];
    const records = await read({ 'x.jsonl': lines.join('\n') });
    expect(records.map((record) => ('fault' in record ? record.fault : 'taken'))).toEqual([
      { rule: 'json', reason: 'names the field id twice' },
      { rule: 'json', reason: 'names the field id twice' },
      { rule: 'json', reason: 'names the field b twice' },
      'taken',
    ]);
  });

  it('reads a record of many megabytes as any other', () => {
    const note = 'x"\\'.repeat(4_000_000);
    expect(recordFromJson(JSON.stringify({ note, id: 1234567890123456 }))).toMatchObject({ id: 1234567890123456 });
    const inexact = JSON.stringify({ note, id: 1 }).replace(/1}$/, '9007199254740993}');
    expect(recordFromJson(inexact)).toMatchObject({ rule: 'number' });
  });

  it('finds a record at fault whose reading throws, and reads the others', async () => {
    const parse = jest.spyOn(Buffer.prototype, 'toString').mockImplementationOnce(() => {
      throw new RangeError('too long');
    });
    const records = await read({ 'x.jsonl': '{"a":1}\n{"a":2}' });
    parse.mockRestore();
    expect(records.map(outcome)).toEqual(['size', { a: 2 }]);
  });

  it('finds each line of a CSV file at fault whose first line names no columns, so that the file counts in full', async () => {
    const rows = Array.from({ length: 30 }, (_, i) => `${i},x`);
    const faultsOf = async (content: Buffer | string) => {
      const found = await read({ 'x.csv': content });
      return [...new Set(found.map((record) => ('fault' in record ? record.fault.reason : 'taken')))].concat(
        String(found.length),
      );
    };
    expect(await faultsOf(['a,a', ...rows].join('\n'))).toEqual([
      'the first line of its file names columns 1 and 2 alike',
      '31',
    ]);
    expect(await faultsOf(['a,', ...rows].join('\n'))).toEqual([
      'the first line of its file has no name for column 2',
      '31',
    ]);
    expect(await faultsOf(Buffer.from(['a,b', ...rows].join('\n'), 'utf16le'))).toEqual([
      'the first line of its file holds a zero byte, as UTF-16 and binary files do',
      '31',
    ]);
    expect(await faultsOf(['a,b', ...rows].join('\r'))).toEqual([
      'the first line of its file has a carriage return without a line feed',
      '1',
    ]);
    expect(await faultsOf('')).toEqual(['the first line of its file is an empty file', '1']);
    expect(await faultsOf('a,b\n')).toEqual(['0']);
  });

  it('finds the part of a file at fault that a malware scan keeps from being read, and reads the files beside it', async () => {
    const contents = { 'a.jsonl': '{"a":1}\n', 'b.jsonl': `${'x'.repeat(99)}\n`, 'c.csv': 'a\n1\n', 'd.md': 'Text' };
    const clean = new MemoryFiles(
      Object.fromEntries(Object.entries(contents).map(([name, text]) => [name, Buffer.from(text)])),
    );
    const files: InputFiles = {
      async *read(name, from, to) {
        if (name !== 'a.jsonl') throw new UncleanFile(name === 'b.jsonl' ? 'THREATS_FOUND' : 'UNSUPPORTED');
        yield* clean.read(name, from, to);
      },
    };
    const found: SourceRecord[] = [];
    for (const { ranges } of planShards(clean.list(), { mostRecordBytes: 1000 }, { bytes: 64, files: 3 })) {
      for await (const batch of readRanges(ranges, { mostRecordBytes: 1000 }, files)) found.push(...batch);
    }
    const unclean = (file: string, offset: number, bytes: number, status: string) => ({
      place: { file, offset, bytes },
      fault: { rule: 'scan', reason: `is not clean: the malware scan says ${status}` },
    });
    expect(found).toMatchObject([
      { record: { a: 1 } },
      unclean('b.jsonl', 0, 64, 'THREATS_FOUND'),
      unclean('b.jsonl', 64, 36, 'THREATS_FOUND'),
      unclean('c.csv', 0, 4, 'UNSUPPORTED'),
      unclean('d.md', 0, 4, 'UNSUPPORTED'),
    ]);
  });

  it('plans no line that is too long for an item of the map, whatever the names of files', () => {
    const names = Array.from({ length: 500 }, (_, i) => `${'ü'.repeat(500)}${String(i).padStart(4, '0')}.jsonl`);
    const files = names.map((name) => ({ name, bytes: 10, digest: 'd'.repeat(64) }));
    const shards = [...planShards(files, { mostRecordBytes: 1000 })];
    expect(shards.map(({ index }) => index)).toEqual(shards.map((_, i) => i));
    expect(shards.flatMap(({ ranges }) => ranges.map(({ file }) => file))).toEqual(names);
    const lengths = shards.map((shard) => Buffer.byteLength(`${JSON.stringify(shard)}\n`));
    expect(Math.max(...lengths)).toBeLessThanOrEqual(MOST_LINE_BYTES);
    // As long as they may be: the last one alone has room.
    expect(Math.min(...lengths.slice(0, -1))).toBeGreaterThan(MOST_LINE_BYTES - 2000);
  });

  it('gives a document as one record, unless it is empty, too large or no text', async () => {
    const records = await read({
      'a.md': '\ufeff# A',
      'b.txt': ' \n',
      'c.txt': 'x'.repeat(1001),
      'd.txt': Buffer.from('caf\u00e9', 'latin1'),
      'e.png': 'ignored',
      'f.txt': Buffer.from('wide', 'utf16le'),
      'g.txt': '',
    });
    expect(records.map(outcome)).toEqual([
      { uri: 'a.md', text: '# A', mediaType: 'text/markdown' },
      'empty',
      'size',
      'encoding',
      'encoding',
      'empty',
    ]);
  });
});
