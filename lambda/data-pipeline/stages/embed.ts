import type { ResolvedWork } from '../../../lib/policy/pipeline/pipeline-defaults';
import { sha256 } from '../digest';
import type { DataRecord } from '../reading/source-record';
import type { ObjectStore } from '../storage';
import { TextRefused } from './embedding-client';
import type { Worker, WorkResult } from './work';

type EmbedWork = Extract<ResolvedWork, { kind: 'embed' }>;

/** What the embed stage needs from outside. */
export interface EmbedPorts {
  /** Vectors of texts, in order; repeats by itself what may be repeated. Throws TextRefused where the texts are at fault. */
  readonly embed: (texts: readonly string[]) => Promise<number[][]>;
  /** Keeps vectors by the hash of their text; without it each run asks anew. */
  readonly cache?: Pick<ObjectStore, 'get' | 'put'>;
}

/** Numbers of 32 bits hold seven digits; more would be noise in every file. */
const DIGITS = 7;

/** Characters in a row that the reason of a fault may share with the text that is at fault. */
const MOST_REPEATED = 16;

/** Adds the vectors of one field, with its context. Equal texts are asked for once. */
export function embedWorker(work: Omit<EmbedWork, 'kind'>, ports: EmbedPorts): Worker {
  return {
    fansOut: false,
    run: async (records) => {
      const texts = records.map((record) => textOf(record, work));
      const vectors = await vectorsOf([...new Set(texts)], work, ports);
      return records.map((record, i): WorkResult => {
        const vector = vectors.get(texts[i]!);
        if (vector instanceof TextRefused) return { fault: refusal(vector, texts[i]!) };
        return { records: [{ ...record, embedding: vector! }] };
      });
    },
  };
}

/** What is embedded of a record: a piece without the headings that it stands under often does not say what it is about. */
function textOf(record: DataRecord, { field, context }: Pick<EmbedWork, 'field' | 'context'>): string {
  const before = context.map((name) => record[name]).filter((value) => typeof value === 'string' && value !== '');
  return [...before, record[field] as string].join('\n');
}

/** Why the model refuses a text, in the words of its endpoint, unless those repeat a part of the text. */
function refusal({ message }: TextRefused, text: string): string {
  const length = Math.min(text.length, MOST_REPEATED);
  const starts = Array.from({ length: message.length - length + 1 }, (_, start) =>
    message.slice(start, start + length),
  );
  const said = starts.some((part) => text.includes(part)) ? 'its reason repeats the text' : message;
  return `is a text that the embedding model refuses: ${said.replace(/\s+/g, ' ')}`;
}

async function vectorsOf(
  texts: readonly string[],
  work: Omit<EmbedWork, 'kind'>,
  { embed, cache }: EmbedPorts,
): Promise<Map<string, readonly number[] | TextRefused>> {
  const vectors = new Map<string, readonly number[] | TextRefused>();
  const missing: string[] = [];
  for (const text of texts) {
    const kept = await cache?.get(cacheKey(text, work));
    const vector = kept && fromBytes(kept);
    if (vector?.length === work.dimensions) vectors.set(text, vector);
    else missing.push(text);
  }
  const batches: string[][] = [];
  for (let i = 0; i < missing.length; i += work.batchSize) batches.push(missing.slice(i, i + work.batchSize));
  const workers = Array.from({ length: Math.min(work.parallelCalls, batches.length) }, async () => {
    for (let batch = batches.shift(); batch; batch = batches.shift()) {
      for (const [text, vector] of await embedOrHalve(batch, embed)) {
        if (vector instanceof TextRefused) {
          vectors.set(text, vector);
          continue;
        }
        if (vector.length !== work.dimensions) {
          throw new Error(
            `${work.model} gives vectors of ${vector.length} numbers, where dimensions says ${work.dimensions}`,
          );
        }
        // What is kept and what is new must be the same numbers, or a second run would give other bytes.
        const bytes = toBytes(vector);
        vectors.set(text, fromBytes(bytes));
        await cache?.put(cacheKey(text, work), bytes);
      }
    }
  });
  await Promise.all(workers);
  return vectors;
}

/** A refusal of many texts does not say which it means: they are asked in halves until it does. */
async function embedOrHalve(
  texts: readonly string[],
  embed: EmbedPorts['embed'],
): Promise<[text: string, vector: number[] | TextRefused][]> {
  try {
    const vectors = await embed(texts);
    if (vectors.length !== texts.length) throw new Error(`asked for ${texts.length} vectors, got ${vectors.length}`);
    return texts.map((text, i) => [text, vectors[i]!]);
  } catch (error) {
    if (!(error instanceof TextRefused)) throw error;
    if (texts.length === 1) return [[texts[0]!, error]];
    const half = Math.ceil(texts.length / 2);
    return [...(await embedOrHalve(texts.slice(0, half), embed)), ...(await embedOrHalve(texts.slice(half), embed))];
  }
}

function cacheKey(text: string, { model, dimensions }: Omit<EmbedWork, 'kind'>): string {
  const hash = sha256(`${model}\0${dimensions}\0${text}`);
  return `cache/embeddings/${hash.slice(0, 2)}/${hash}`;
}

function toBytes(vector: readonly number[]): Buffer {
  const bytes = Buffer.alloc(vector.length * 4);
  vector.forEach((value, i) => bytes.writeFloatLE(value, i * 4));
  return bytes;
}

function fromBytes(bytes: Buffer): number[] {
  return Array.from({ length: bytes.length / 4 }, (_, i) => Number(bytes.readFloatLE(i * 4).toPrecision(DIGITS)));
}
