import { ApiError } from './api-error';

/** The calls that a model computes. */
export type Endpoint = 'chat' | 'completions' | 'embeddings';

/** What a request asks for, by its method and path. */
export type Target =
  | { readonly kind: 'compute'; readonly endpoint: Endpoint }
  | { readonly kind: 'listModels' }
  | { readonly kind: 'describeModel'; readonly model: string };

/** Path of each endpoint: at the gateway, and at its backends. */
export const ENDPOINT_PATH: Readonly<Record<Endpoint, string>> = {
  chat: '/v1/chat/completions',
  completions: '/v1/completions',
  embeddings: '/v1/embeddings',
};

const MODELS = '/v1/models';

/**
 * Finds out what a request asks for.
 *
 * @throws ApiError 404 for anything unknown
 */
export function targetOf(method: string, path: string): Target {
  const trimmed = path.length > 1 ? path.replace(/\/+$/, '') : path;
  if (method === 'POST') {
    const endpoint = (Object.keys(ENDPOINT_PATH) as Endpoint[]).find((name) => ENDPOINT_PATH[name] === trimmed);
    if (endpoint) return { kind: 'compute', endpoint };
  }
  if (method === 'GET' && trimmed === MODELS) return { kind: 'listModels' };
  if (method === 'GET' && trimmed.startsWith(`${MODELS}/`)) {
    return { kind: 'describeModel', model: decoded(trimmed.slice(MODELS.length + 1)) };
  }
  throw ApiError.unknownPath(method, path);
}

/** A model's name may hold slashes, which clients escape; API Gateway has unescaped them already, a local run has not. */
function decoded(segment: string): string {
  try {
    return decodeURIComponent(segment);
  } catch {
    return segment;
  }
}
