import { ModelKind } from '../../lib/policy/model';
import { ApiError } from '../gateway/api-error';
import { isRecord } from '../gateway/http-event';
import { targetOf } from '../gateway/target';
import { keepSecondsOf, told } from './file-upload';
import type { LineRules } from './line-check';

/** What a client wants to have done. */
export interface BatchRequest {
  readonly fileId: string;
  /** Path of its requests. */
  readonly endpoint: string;
  readonly metadata?: Readonly<Record<string, string>>;
  /** Seconds for which its output is to be kept. */
  readonly outputSeconds?: number;
}

/** OpenAI's bounds. */
const METADATA = { pairs: 16, key: 64, value: 512 };

/**
 * Reads the body of `POST /v1/batches`.
 *
 * @throws ApiError that names the field at fault
 */
export function batchRequestOf(
  body: Readonly<Record<string, unknown>>,
  rules: Pick<LineRules, 'models'> & { readonly retentionDays: number },
): BatchRequest {
  const { input_file_id: fileId, endpoint, completion_window: window } = body;
  if (typeof fileId !== 'string' || fileId === '') {
    const message = `input_file_id must be the id of a file of POST /v1/files, got ${told(fileId)}.`;
    throw ApiError.invalidRequest(message, 'input_file_id');
  }
  if (typeof endpoint !== 'string' || !isEndpoint(endpoint, rules)) {
    const paths = '/v1/chat/completions, /v1/completions, /v1/embeddings or /v1/services/ and a service of your plan';
    throw ApiError.invalidRequest(`endpoint must be ${paths}, got ${told(endpoint)}.`, 'endpoint');
  }
  if (window !== '24h') {
    throw ApiError.invalidRequest(`completion_window must be 24h, got ${told(window)}.`, 'completion_window');
  }
  const metadata = metadataOf(body.metadata);
  const outputSeconds = keepSecondsOf(body.output_expires_after, 'output_expires_after', rules.retentionDays);
  return { fileId, endpoint, ...(metadata && { metadata }), ...(outputSeconds !== undefined && { outputSeconds }) };
}

/** Whether its requests can go there: a service that is not in the plan would fail each line of the batch. */
function isEndpoint(endpoint: string, { models }: Pick<LineRules, 'models'>): boolean {
  try {
    const target = targetOf('POST', endpoint);
    if (target.kind !== 'callService') return target.kind === 'compute';
    return models.some(({ name, kind }) => name === target.service && kind === ModelKind.SERVICE);
  } catch (error) {
    if (error instanceof ApiError) return false;
    throw error;
  }
}

function metadataOf(value: unknown): Readonly<Record<string, string>> | undefined {
  if (value == null) return undefined;
  const fault = (rule: string) => ApiError.invalidRequest(`metadata must ${rule}.`, 'metadata');
  if (!isRecord(value)) throw fault('be an object');
  const pairs = Object.entries(value);
  if (pairs.length > METADATA.pairs) throw fault(`have at most ${METADATA.pairs} pairs`);
  for (const [key, text] of pairs) {
    if (key.length > METADATA.key) throw fault(`have keys of at most ${METADATA.key} characters`);
    if (typeof text !== 'string' || text.length > METADATA.value) {
      throw fault(`have strings of at most ${METADATA.value} characters as values`);
    }
  }
  return value as Readonly<Record<string, string>>;
}
