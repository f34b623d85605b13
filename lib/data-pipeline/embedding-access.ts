import type { HandlerFunction } from '../handlers/handler-function';
import type { DataPipelineProps } from './data-pipeline-props';

/** Where a pipeline has texts embedded: at an endpoint, or by a function of the platform. */
export type EmbeddingAccess = Pick<DataPipelineProps, 'embeddingUrl' | 'embeddingKey' | 'embedder' | 'embeddingTenant'>;

/**
 * What a function needs in its environment to have texts embedded.
 *
 * @param priority whether somebody waits, or the rest of the platform goes first
 */
export function embeddingEnvironment(
  { embeddingUrl, embeddingKey, embedder, embeddingTenant }: EmbeddingAccess,
  priority: 'interactive' | 'batch',
): Record<string, string> {
  return {
    ...(embeddingUrl !== undefined && { EMBEDDING_URL: embeddingUrl }),
    ...(embeddingKey && { EMBEDDING_KEY_SECRET: embeddingKey.secretArn }),
    ...(embedder && { EMBEDDING_FUNCTION: embedder.functionArn, EMBEDDING_PRIORITY: priority }),
    ...(embeddingTenant !== undefined && { EMBEDDING_TENANT: embeddingTenant }),
  };
}

/** Lets a function have texts embedded. */
export function grantEmbedding(handler: HandlerFunction, { embeddingKey, embedder }: EmbeddingAccess): void {
  embeddingKey?.grantRead(handler);
  embedder?.grantEmbed(handler);
}
