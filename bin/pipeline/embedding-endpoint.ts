import { setTimeout as sleep } from 'node:timers/promises';
import type { ResolvedWork } from '../../lib/policy/pipeline/pipeline-defaults';
import { embeddingClient, type EndpointAnswer } from '../../lambda/data-pipeline/stages/embedding-client';

/** Longest call: a batch of long texts on a busy server. */
const TIMEOUT_MS = 120_000;

/** Embeds texts at an OpenAI-compatible endpoint: `URL/v1/embeddings`. */
export function embeddingsAt(
  url: string,
  key: string | undefined,
  work: Extract<ResolvedWork, { kind: 'embed' }>,
): (texts: readonly string[]) => Promise<number[][]> {
  const address = `${url.replace(/\/+$/, '').replace(/\/v1$/, '')}/v1/embeddings`;
  const post = async (body: string): Promise<EndpointAnswer> => {
    const response = await fetch(address, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...(key !== undefined && { authorization: `Bearer ${key}` }) },
      body,
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
    const wait = Number(response.headers.get('retry-after') ?? NaN);
    return {
      status: response.status,
      body: await response.text(),
      ...(Number.isFinite(wait) && { retryAfterSeconds: wait }),
    };
  };
  const dimensions = work.requestDimensions ? { dimensions: work.dimensions } : {};
  return embeddingClient(
    { model: work.model, ...dimensions, attempts: work.attempts },
    { post, sleep: (ms) => sleep(ms), random: Math.random },
  );
}
