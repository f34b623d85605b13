/** The model finds fault with a text, such as one that is too long: no repetition helps. */
export class TextRefused extends Error {}

/** An answer of an endpoint. */
export interface EndpointAnswer {
  readonly status: number;
  readonly body: string;
  /** Seconds to wait, where the endpoint says so. */
  readonly retryAfterSeconds?: number;
}

/** What the client needs from outside. */
export interface EmbeddingClientPorts {
  /** Posts JSON to the endpoint's `/v1/embeddings`. Throws where there is no answer. */
  readonly post: (body: string) => Promise<EndpointAnswer>;
  readonly sleep: (ms: number) => Promise<void>;
  /** From 0 to below 1. */
  readonly random: () => number;
}

/** What is asked, and how often. */
export interface EmbeddingRequest {
  readonly model: string;
  /** Named in the request where the model shortens its vectors on demand. */
  readonly dimensions?: number;
  readonly attempts: number;
}

const FIRST_DELAY_MS = 250;
const LONGEST_DELAY_MS = 30_000;
const REFUSALS = [400, 413, 422];

/** A limit that says when to come again is no failure: a backfill waits for its share, but not for ever. */
const MOST_WAITS = 1000;

/** Asks any OpenAI-compatible endpoint for the vectors of texts; what may pass by itself is repeated, with a growing delay. */
export function embeddingClient(request: EmbeddingRequest, ports: EmbeddingClientPorts) {
  const { model, dimensions, attempts } = request;
  return async (texts: readonly string[]): Promise<number[][]> => {
    const body = JSON.stringify({ model, input: texts, encoding_format: 'float', ...(dimensions && { dimensions }) });
    let reason = '';
    let waits = 0;
    for (let attempt = 1; attempt <= attempts; attempt++) {
      const answer = await ports.post(body).catch((error: unknown) => String(error));
      if (typeof answer !== 'string' && answer.status === 200) return vectorsIn(answer.body, texts.length);
      reason = typeof answer === 'string' ? answer : `status ${answer.status}: ${answer.body.slice(0, 200)}`;
      const status = typeof answer === 'string' ? undefined : answer.status;
      if (status !== undefined && REFUSALS.includes(status)) throw new TextRefused(reason);
      // 401, 403 and 404 are mistakes of the set-up, and stay.
      if (status !== undefined && status < 500 && status !== 408 && status !== 409 && status !== 429) break;
      const asked = typeof answer === 'string' ? undefined : answer.retryAfterSeconds;
      if (status === 429 && asked !== undefined && ++waits <= MOST_WAITS) attempt--;
      else if (attempt === attempts) break;
      const grown = FIRST_DELAY_MS * 2 ** Math.max(0, attempt - 1) * (0.5 + ports.random());
      await ports.sleep(Math.min(LONGEST_DELAY_MS, asked === undefined ? grown : asked * 1000));
    }
    throw new Error(`the endpoint gives no vectors of ${model}: ${reason}`);
  };
}

/** Vectors are kept in 32 bits, where a number beyond 3.4 × 10³⁸ is infinite, which JSON cannot say. */
function isNumberOf32Bits(value: unknown): boolean {
  return typeof value === 'number' && Number.isFinite(Math.fround(value));
}

function vectorsIn(body: string, count: number): number[][] {
  let answer: unknown;
  try {
    answer = JSON.parse(body);
  } catch {
    throw new Error('the endpoint answers with no JSON');
  }
  const data = (answer as { data?: unknown }).data;
  const rows = Array.isArray(data) ? (data as { index?: number; embedding?: unknown }[]) : [];
  const vectors: number[][] = [];
  rows.forEach(({ index, embedding }, i) => {
    const isVector = Array.isArray(embedding) && embedding.every(isNumberOf32Bits);
    if (isVector) vectors[index ?? i] = embedding as number[];
  });
  if (vectors.length !== count || Object.keys(vectors).length !== count) {
    throw new Error(`the endpoint gives ${Object.keys(vectors).length} vectors for ${count} texts`);
  }
  return vectors;
}
