import type { BackendAnswer } from '../gateway/backend-port';
import { isRecord } from '../gateway/http-event';

/** An error of Bedrock. */
export interface BedrockError {
  /** Its name, such as `ValidationException`; undefined where Bedrock gives none. */
  readonly type?: string;
  readonly message: string;
}

/** Status that stands for a fault of this platform's own settings: the backend's failure, not to be tried again. */
const OURS = 403;

/** Statuses by the error's name, in lower case without `exception`: an exception within a stream has no other. */
const STATUS: Readonly<Record<string, number>> = {
  validation: 400,
  throttling: 429,
  // Bedrock's own statuses for the next ones, 400, 429 and 424, would be read as what they are not.
  servicequotaexceeded: 429,
  modelnotready: 503,
  modelerror: 502,
  modelstreamerror: 502,
  modeltimeout: 408,
  serviceunavailable: 503,
  internalserver: 500,
};

/** Statuses of Bedrock that complain about the request. */
const ABOUT_REQUEST = [400, 413, 422];

/** Complaints that Bedrock words as if the request were wrong, but which are about the model that the policy names. */
const ABOUT_OUR_MODEL = /model id|on-demand throughput|the model that you provided/i;

/**
 * The status that says whose fault an error is: 400, 413 and 422 the client's, 429 Bedrock is busy, 403 our settings (no access, no
 * such model, a bad signature), all others Bedrock's.
 *
 * @param status status of the response; undefined for an exception within a stream
 */
export function statusOf({ type, message }: BedrockError, status?: number): number {
  const name = type?.toLowerCase().replace(/exception$/, '');
  const meant = (name === undefined ? undefined : STATUS[name]) ?? status ?? 500;
  const isOfClient =
    ABOUT_REQUEST.includes(meant) && (name === undefined || name === 'validation') && !ABOUT_OUR_MODEL.test(message);
  return meant >= 400 && meant < 500 && meant !== 408 && meant !== 429 && !isOfClient ? OURS : meant;
}

/** Reads an error response: its name stands in a header, or in the body behind a namespace. */
export function errorIn(headers: BackendAnswer['headers'], text: string): BedrockError {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    json = undefined;
  }
  const body = isRecord(json) ? json : {};
  const inner = isRecord(body.error) ? body.error : body;
  const header = headers['x-amzn-errortype'];
  const type = typeof header === 'string' ? header.split(':')[0] : body.__type;
  const message = inner.message ?? body.Message;
  return {
    ...(typeof type === 'string' && { type: type.split('#').at(-1)! }),
    message: typeof message === 'string' ? message : '',
  };
}
