import { afterAll, describe, expect, it } from '@jest/globals';
import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { codeDigest } from '../../../bin/pipeline/code-digest';
import { functionFiles } from '../../../bin/pipeline/function-files';
import { callWithin } from '../../../bin/pipeline/local-functions';
import { FunctionError } from '../../../lambda/data-pipeline/stages/function-stage';
import { embeddingsAt } from '../../../lambda/pipeline-store/embedding-endpoint';

const root = realpathSync(mkdtempSync(join(tmpdir(), 'functions-')));
afterAll(() => rmSync(root, { recursive: true, force: true }));

function write(name: string, content: string): string {
  const path = join(root, name);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, content);
  return path;
}

describe('the call of a local function', () => {
  it('takes a promise that never settles for a failure of the function', async () => {
    const call = callWithin(20, () => new Promise(() => undefined));
    await expect(call([{ id: 1 }])).rejects.toThrow(FunctionError);
    await expect(call([{ id: 1 }])).rejects.toThrow('the function failed: no answer after 0.02 s');
  });

  it('gives what the function answers as JSON has it, and its event as a copy', async () => {
    const record = { id: 1 };
    const call = callWithin(1000, ({ records }) => {
      (records[0] as { id: number }).id = 2;
      return { results: [{ records: [{ at: new Date(0) }] }] };
    });
    expect(await call([record])).toEqual({ results: [{ records: [{ at: '1970-01-01T00:00:00.000Z' }] }] });
    expect(record).toEqual({ id: 1 });
    expect(await callWithin(1000, () => undefined)([])).toBeNull();
  });
});

describe('the code digest', () => {
  const entry = write('clean.mjs', '');
  const files = () => functionFiles(join(root, 'functions/enrich.mjs')).map((file) => relative(root, file));
  write(
    'functions/enrich.mjs',
    "import { a } from './lib/a.mjs';\nexport * from '../other/b.mjs';\nimport './side.mjs?v=1';",
  );
  write('functions/lib/a.mjs', "const c = require(\n  './c');\nconst late = import('./late.mjs');");
  write('functions/lib/c/index.js', "module.exports = require('../../lib/d') + 1; // from './nowhere.mjs'");
  write('functions/lib/d.json', '{}');
  write('functions/lib/late.mjs', "import fs from 'node:fs'; import pkg from 'pkg'; import { a } from './a.mjs';");
  write('other/b.mjs', '');
  write('functions/side.mjs', '');

  it('covers what a function imports by relative paths, directly or not, as Node finds it', () => {
    expect(files()).toEqual([
      'functions/enrich.mjs',
      'functions/lib/a.mjs',
      'other/b.mjs',
      'functions/side.mjs',
      'functions/lib/c/index.js',
      'functions/lib/late.mjs',
      'functions/lib/d.json',
    ]);
  });

  it('changes with each of these files and with the names of functions, and not with the order of flags', () => {
    const [one, other] = [join(root, 'functions/enrich.mjs'), entry];
    const digest = codeDigest({ one, other });
    expect(codeDigest({ other, one })).toBe(digest);
    expect(codeDigest({ one: other, other: one })).not.toBe(digest);
    write('functions/lib/d.json', '{"x":1}');
    expect(codeDigest({ one, other })).not.toBe(digest);
  });
});

it('an endpoint where nobody listens is told with its address, the cause and what to do', async () => {
  const server = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  const url = `http://127.0.0.1:${port}`;
  const work = {
    ...({ kind: 'embed', model: 'm', dimensions: 2, requestDimensions: false, field: 'text', context: [] } as const),
    ...{ batchSize: 1, parallelCalls: 1, attempts: 1 },
  };
  const embed = embeddingsAt({ url, timeoutMs: 5000, hint: 'is it running? npm start' }, { ...work, context: [] });
  await expect(embed(['x'])).rejects.toThrow(
    `${url}/v1/embeddings does not answer (ECONNREFUSED): is it running? npm start`,
  );
});
