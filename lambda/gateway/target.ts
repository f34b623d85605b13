import { ApiError } from './api-error';

/** The calls of the OpenAI protocol that a model computes. */
export type OpenAiEndpoint = 'chat' | 'completions' | 'embeddings';

/** The calls that a backend computes. */
export type Endpoint = OpenAiEndpoint | 'service';

/** What a request asks for, by its method and path. */
export type Target =
  | { readonly kind: 'compute'; readonly endpoint: OpenAiEndpoint }
  | { readonly kind: 'callService'; readonly service: string }
  | { readonly kind: 'listModels' }
  | { readonly kind: 'describeModel'; readonly model: string };

const OPENAI_PATH: Readonly<Record<OpenAiEndpoint, string>> = {
  chat: '/v1/chat/completions',
  completions: '/v1/completions',
  embeddings: '/v1/embeddings',
};

/** Path of each call at a backend that has none of its own. */
export const BACKEND_PATH: Readonly<Record<Endpoint, string>> = { ...OPENAI_PATH, service: '/' };

const MODELS = '/v1/models';
const SERVICES = '/v1/services/';

/**
 * Finds out what a request asks for.
 *
 * @throws ApiError 404 for anything unknown
 */
export function targetOf(method: string, path: string): Target {
  const trimmed = path.length > 1 ? path.replace(/\/+$/, '') : path;
  if (method === 'POST') {
    const endpoint = (Object.keys(OPENAI_PATH) as OpenAiEndpoint[]).find((name) => OPENAI_PATH[name] === trimmed);
    if (endpoint) return { kind: 'compute', endpoint };
    if (trimmed.startsWith(SERVICES)) return { kind: 'callService', service: decoded(trimmed.slice(SERVICES.length)) };
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
