/**
 * What storing an answer costs and saves: time and size of the form in which `lambda/caching/encoding.ts` stores it (base64
 * included), beside deflate at level 1 and, where this Node.js has it, zstd at level 1. Chat answers and streams of several
 * sizes, made from the texts of the installed packages; medians of interleaved rounds.
 *
 *     node bench/caching/run.mjs [ROUNDS]
 */
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import zlib from 'node:zlib';
import { build } from 'esbuild';
import { median } from '../median.mjs';

const rounds = Number(process.argv[2] ?? 60);
const root = path.resolve(import.meta.dirname, '../..');
const outfile = path.join(root, 'dist/bench/encoding.mjs');
await build({
  entryPoints: [path.join(root, 'lambda/caching/encoding.ts')],
  outfile,
  bundle: true,
  platform: 'node',
  format: 'esm',
  logLevel: 'error',
});
const { decodeBody, encodeBody } = await import(pathToFileURL(outfile).href);
const limits = { compressAboveBytes: 256, maxEntryBytes: 16_777_216 };

const prose = readdirSync(path.join(root, 'node_modules'))
  .filter((name) => /^[a-z]/.test(name))
  .map((name) => path.join(root, 'node_modules', name, 'README.md'))
  .flatMap((file) => {
    try {
      return [readFileSync(file, 'utf8')];
    } catch {
      return [];
    }
  })
  .join('\n');

const head = { id: 'chatcmpl-8f14e45fceea167a5a36dedd4bea2543', created: 1790000000, model: 'llama-3.1-8b' };
const whole = (bytes) =>
  JSON.stringify({
    ...head,
    object: 'chat.completion',
    choices: [{ index: 0, message: { role: 'assistant', content: prose.slice(0, bytes) }, finish_reason: 'stop' }],
    usage: { prompt_tokens: 30, completion_tokens: 900, total_tokens: 930 },
  });
const stream = (bytes) => {
  let text = '';
  for (const content of prose.match(/\s*\S+/g)) {
    if (text.length >= bytes) break;
    const choices = [{ index: 0, delta: { content }, logprobs: null, finish_reason: null }];
    text += `data: ${JSON.stringify({ ...head, object: 'chat.completion.chunk', choices })}\n\n`;
  }
  return `${text}data: [DONE]\n\n`;
};

const packed = (pack, unpack) => [
  (body) => pack(Buffer.from(body)).toString('base64'),
  (text) => unpack(Buffer.from(text, 'base64')).toString(),
];
const ZSTD = { params: { [zlib.constants.ZSTD_c_compressionLevel]: 1 } };
const forms = {
  'as stored': [(body) => encodeBody(body, limits), (text) => decodeBody(text, limits)],
  'deflate 1': packed((bytes) => zlib.deflateRawSync(bytes, { level: 1 }), zlib.inflateRawSync),
  ...(zlib.zstdCompressSync && {
    'zstd 1': packed((bytes) => zlib.zstdCompressSync(bytes, ZSTD), zlib.zstdDecompressSync),
  }),
};

console.log(`Node ${process.versions.node}; size of what is stored, ms to store, ms to read`);
for (const [kind, make] of Object.entries({ whole, stream })) {
  for (const bytes of [4096, 16_384, 65_536, 200_000]) {
    const body = make(bytes);
    const times = new Map(Object.keys(forms).map((name) => [name, { store: [], read: [] }]));
    for (let round = 0; round < rounds; round++) {
      for (const [name, [store, read]] of Object.entries(forms)) {
        const started = performance.now();
        const stored = store(body);
        const half = performance.now();
        if (read(stored) !== body) throw new Error(`${name} lost an answer`);
        times.get(name).store.push(half - started);
        times.get(name).read.push(performance.now() - half);
      }
    }
    const line = Object.entries(forms).map(([name, [store]]) => {
      const share = ((store(body).length / Buffer.byteLength(body)) * 100).toFixed(0);
      const { store: written, read } = times.get(name);
      return `${name} ${share.padStart(3)} % ${median(written).toFixed(3)} ${median(read).toFixed(3)}`;
    });
    console.log(`${kind.padEnd(6)} ${String(Buffer.byteLength(body)).padStart(6)} B   ${line.join('   ')}`);
  }
}
