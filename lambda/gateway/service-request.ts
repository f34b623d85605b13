import type { ResolvedModel } from '../../lib/policy/defaults';
import { ModelKind } from '../../lib/policy/model';
import { tokensOfBytes } from '../rate-limiting/estimate';
import { ApiError } from './api-error';
import type { InferenceRequest } from './inference-request';

/**
 * A call of a service: the path names it, and its body is its own affair. What the gateway reads of it is its size, by
 * which it is charged, and whether `stream` is true.
 *
 * @throws ApiError 404 for a name that is no service of the caller's plan
 */
export function parseServiceRequest(
  name: string,
  body: Readonly<Record<string, unknown>>,
  models: readonly ResolvedModel[],
): InferenceRequest {
  const model = models.find((candidate) => candidate.name === name && candidate.kind === ModelKind.SERVICE);
  if (!model) throw ApiError.modelNotFound(name.slice(0, 128));
  return {
    endpoint: 'service',
    model,
    body,
    stream: body.stream === true,
    includeUsage: true,
    inputTokens: tokensOfBytes(Buffer.byteLength(JSON.stringify(body))),
    outputTokens: 0,
  };
}
