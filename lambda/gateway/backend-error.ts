import { ApiError } from './api-error';
import { isRecord } from './http-event';

/** Longer texts are cut: an error page is no message. */
const MOST_CHARACTERS = 500;

/** A backend's complaint about the request, in OpenAI's shape whatever shape it came in. */
export function errorOfBackend(status: number, text: string): ApiError {
  const details = detailsOf(text);
  const message = typeof details.message === 'string' ? details.message : '';
  return new ApiError({
    status,
    type: typeof details.type === 'string' ? details.type : 'invalid_request_error',
    message: message.slice(0, MOST_CHARACTERS) || `The backend refused the request with status ${status}.`,
    ...(typeof details.param === 'string' && { param: details.param }),
    ...(typeof details.code === 'string' && { code: details.code }),
  });
}

/** OpenAI's form, vLLM's older form without the envelope, FastAPI's `detail`, or plain text. Never a web page. */
function detailsOf(text: string): Record<string, unknown> {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    return text.trimStart().startsWith('<') ? {} : { message: text.trim() };
  }
  if (!isRecord(json)) return {};
  if (isRecord(json.error)) return json.error;
  if (typeof json.message === 'string') return json;
  return { message: json.detail ?? json.error };
}
