import { setTimeout as sleep } from 'node:timers/promises';
import type { ResolvedWork } from '../../lib/policy/pipeline/pipeline-defaults';
import { embeddingClient, type EndpointAnswer } from '../data-pipeline/stages/embedding-client';

/** Where texts are embedded. */
export interface EmbeddingEndpoint {
  /** Base address, with or without `/v1`. */
  readonly url: string;
  /** The key, where the endpoint wants one. */
  readonly key?: () => Promise<string>;
  /** Longest call: a batch of long texts on a busy server. */
  readonly timeoutMs: number;
  /** What to look at where nobody answers. */
  readonly hint?: string;
}

/** Embeds texts at an OpenAI-compatible endpoint, such as the platform's own. */
export function embeddingsAt(
  { url, key, timeoutMs, hint }: EmbeddingEndpoint,
  work: Extract<ResolvedWork, { kind: 'embed' }>,
): (texts: readonly string[]) => Promise<number[][]> {
  const address = `${url.replace(/\/+$/, '').replace(/\/v1$/, '')}/v1/embeddings`;
  const post = async (body: string): Promise<EndpointAnswer> => {
    const authorization = key && `Bearer ${await key()}`;
    const response = await fetch(address, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...(authorization && { authorization }) },
      body,
      signal: AbortSignal.timeout(timeoutMs),
    }).catch((error: unknown) => {
      // fetch itself says no more than "fetch failed".
      const { message, cause } = error as Error & { readonly cause?: NodeJS.ErrnoException };
      throw new Error(`${address} does not answer (${cause?.code ?? message})${hint ? `: ${hint}` : ''}`, {
        cause: error,
      });
    });
    const wait = Number(response.headers.get('retry-after') ?? NaN);
    const answer = { status: response.status, body: await response.text() };
    return { ...answer, ...(Number.isFinite(wait) && { retryAfterSeconds: wait }) };
  };
  const dimensions = work.requestDimensions ? { dimensions: work.dimensions } : {};
  const request = { model: work.model, ...dimensions, attempts: work.attempts };
  return embeddingClient(request, { post, sleep: (ms) => sleep(ms), random: Math.random });
}
