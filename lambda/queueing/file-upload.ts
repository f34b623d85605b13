import { hash } from 'node:crypto';
import { ApiError } from '../gateway/api-error';
import { headerOf, type HttpEvent, isRecord, jsonBodyOf } from '../gateway/http-event';
import { boundaryOf, type FormPart, parseMultipart } from './multipart';
import { refused } from './refusals';

/** What a client wants to have kept. */
export interface FileUpload {
  readonly filename: string;
  readonly bytes: number;
  /** Seconds for which it is to be kept, where the client says so. */
  readonly keepSeconds?: number;
  /** The file itself; without it, it is uploaded to an address of its own. */
  readonly content?: Buffer;
  /** Of the content, in hex. */
  readonly digest?: string;
}

/** OpenAI's least: an hour. Their most, 30 days, is theirs; here it is what the policy promises. */
const LEAST_KEPT_SECONDS = 3600;

const DAY_SECONDS = 86_400;

/** What an upload is held against. */
export interface UploadLimits {
  readonly maxFileBytes: number;
  /** Days for which files are kept, and after which the bucket deletes them. */
  readonly retentionDays: number;
}

/**
 * Reads the body of `POST /v1/files`: a form with the file, as the OpenAI clients send it; or a JSON object that announces
 * a file which is too large for a request.
 *
 * @throws ApiError that says what is wrong
 */
export function fileUploadOf(event: HttpEvent, limits: UploadLimits): FileUpload {
  const type = headerOf(event, 'content-type');
  const boundary = boundaryOf(type);
  if (boundary === undefined && !isJson(type)) {
    const ways =
      'multipart/form-data with the fields purpose and file (curl -F purpose=batch -F file=@requests.jsonl), ' +
      'or application/json that announces a large file';
    throw refused('unsupported_content_type', `A file is sent as ${ways}; got content-type ${type?.slice(0, 64)}.`);
  }
  const upload =
    boundary === undefined
      ? announcedUpload(jsonBodyOf(event), limits)
      : formUpload(parseMultipart(bytesOf(event), boundary), limits);
  if (upload.bytes === 0) throw refused('empty_file', 'The file is empty.', 'file');
  if (upload.bytes > limits.maxFileBytes) {
    throw refused('file_too_large', `The file has ${upload.bytes} bytes; the most is ${limits.maxFileBytes}.`, 'file');
  }
  return upload;
}

/**
 * Reads an expiration policy: `{ "anchor": "created_at", "seconds": … }`.
 *
 * @param retentionDays for which files are kept at most: a longer promise would be broken by the bucket's lifecycle
 * @throws ApiError for one that is none, or that goes beyond that
 */
export function keepSecondsOf(policy: unknown, field: string, retentionDays: number): number | undefined {
  if (policy == null) return undefined;
  if (!isRecord(policy)) {
    const shape = '{"anchor": "created_at", "seconds": …}';
    throw ApiError.invalidRequest(`${field} must be an object, ${shape}, got ${told(policy)}.`, field);
  }
  const { anchor, seconds } = policy;
  if (anchor !== 'created_at') {
    throw ApiError.invalidRequest(`${field}.anchor must be created_at, got ${told(anchor)}.`, `${field}.anchor`);
  }
  const most = retentionDays * DAY_SECONDS;
  if (typeof seconds !== 'number' || !Number.isSafeInteger(seconds) || seconds < LEAST_KEPT_SECONDS || seconds > most) {
    const days = retentionDays === 1 ? 'the day' : `the ${retentionDays} days`;
    const range = `from ${LEAST_KEPT_SECONDS} to ${most}, ${days} for which files are kept here`;
    throw ApiError.invalidRequest(
      `${field}.seconds must be a whole number ${range}, got ${told(seconds)}.`,
      `${field}.seconds`,
    );
  }
  return seconds;
}

/** A client's value in a message to it. */
export function told(value: unknown): string {
  return value === undefined ? 'none' : JSON.stringify(value).slice(0, 64);
}

function formUpload(parts: readonly FormPart[], { retentionDays }: UploadLimits): FileUpload {
  const part = (name: string) => parts.find((candidate) => candidate.name === name);
  const text = (name: string) => part(name)?.body.toString('utf8');
  mustBeBatch(text('purpose'));
  const file = part('file');
  if (file?.filename === undefined) {
    const fault = file ? 'The field file is text' : 'The form has no field file';
    const message = `${fault}: it must be a file with a name (curl -F file=@requests.jsonl).`;
    throw ApiError.invalidRequest(message, 'file');
  }
  const [anchor, seconds] = [text('expires_after[anchor]'), text('expires_after[seconds]')];
  // A form has text only: what is no number is told as it came.
  const number = /^\d{1,15}$/.test(seconds ?? '') ? Number(seconds) : seconds;
  const policy = anchor === undefined && seconds === undefined ? undefined : { anchor, seconds: number };
  const content = file.body;
  return {
    ...{ filename: filenameOf(file.filename), bytes: content.length, content, digest: hash('sha256', content) },
    ...keep(policy, retentionDays),
  };
}

function announcedUpload(body: Readonly<Record<string, unknown>>, { retentionDays }: UploadLimits): FileUpload {
  mustBeBatch(body.purpose);
  const { bytes, filename } = body;
  if (!Number.isSafeInteger(bytes) || (bytes as number) < 0) {
    throw ApiError.invalidRequest('bytes must be the size of the file, a whole number.', 'bytes');
  }
  return { filename: filenameOf(filename), bytes: bytes as number, ...keep(body.expires_after, retentionDays) };
}

/** As API Gateway has it, a body without a type is JSON. */
function isJson(type: string | undefined): boolean {
  return /^application\/json\s*(;|$)/i.test(type ?? 'application/json');
}

function keep(policy: unknown, retentionDays: number): Pick<FileUpload, 'keepSeconds'> {
  const keepSeconds = keepSecondsOf(policy, 'expires_after', retentionDays);
  return keepSeconds === undefined ? {} : { keepSeconds };
}

function mustBeBatch(purpose: unknown): void {
  if (purpose === 'batch') return;
  const message = `purpose must be batch, got ${told(purpose)}: files for anything else are not kept here.`;
  throw ApiError.invalidRequest(message, 'purpose');
}

function filenameOf(name: unknown): string {
  if (typeof name !== 'string' || name === '' || name.length > 255 || /\p{Cc}/u.test(name)) {
    throw ApiError.invalidRequest(
      'filename must have 1 to 255 characters, none of them a control character.',
      'filename',
    );
  }
  return name;
}

/** API Gateway gives what it takes for binary in base 64, and anything else as text. */
function bytesOf({ body, isBase64Encoded }: HttpEvent): Buffer {
  return Buffer.from(body ?? '', isBase64Encoded ? 'base64' : 'utf8');
}
