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

/** OpenAI's bounds: an hour and 30 days, in seconds. */
const KEEP = { min: 3600, max: 2_592_000 };

/**
 * Reads the body of `POST /v1/files`: a form with the file, as the OpenAI clients send it; or a JSON object that announces
 * a file which is too large for a request.
 *
 * @throws ApiError that says what is wrong
 */
export function fileUploadOf(event: HttpEvent, maxFileBytes: number): FileUpload {
  const boundary = boundaryOf(headerOf(event, 'content-type'));
  const upload =
    boundary === undefined ? announcedUpload(jsonBodyOf(event)) : formUpload(parseMultipart(bytesOf(event), boundary));
  if (upload.bytes === 0) throw refused('empty_file', 'The file is empty.', 'file');
  if (upload.bytes > maxFileBytes) {
    throw refused('file_too_large', `The file has ${upload.bytes} bytes; the most is ${maxFileBytes}.`, 'file');
  }
  return upload;
}

/**
 * Reads an expiration policy: `{ "anchor": "created_at", "seconds": … }`.
 *
 * @throws ApiError for one that is none
 */
export function keepSecondsOf(policy: unknown, field: string): number | undefined {
  if (policy == null) return undefined;
  if (!isRecord(policy)) throw ApiError.invalidRequest(`${field} must be an object.`, field);
  if (policy.anchor !== 'created_at') {
    throw ApiError.invalidRequest(`${field}.anchor must be created_at.`, `${field}.anchor`);
  }
  const { seconds } = policy;
  if (!Number.isSafeInteger(seconds) || (seconds as number) < KEEP.min || (seconds as number) > KEEP.max) {
    const message = `${field}.seconds must be a whole number from ${KEEP.min} to ${KEEP.max}.`;
    throw ApiError.invalidRequest(message, `${field}.seconds`);
  }
  return seconds as number;
}

function formUpload(parts: readonly FormPart[]): FileUpload {
  const part = (name: string) => parts.find((candidate) => candidate.name === name);
  const text = (name: string) => part(name)?.body.toString('utf8');
  mustBeBatch(text('purpose'));
  const file = part('file');
  if (file?.filename === undefined) throw ApiError.invalidRequest('file must be a file of the form.', 'file');
  const [anchor, seconds] = [text('expires_after[anchor]'), text('expires_after[seconds]')];
  const policy = anchor === undefined && seconds === undefined ? undefined : { anchor, seconds: Number(seconds) };
  const content = file.body;
  return {
    ...{ filename: filenameOf(file.filename), bytes: content.length, content, digest: hash('sha256', content) },
    ...keep(policy),
  };
}

function announcedUpload(body: Readonly<Record<string, unknown>>): FileUpload {
  mustBeBatch(body.purpose);
  const { bytes, filename } = body;
  if (!Number.isSafeInteger(bytes) || (bytes as number) < 0) {
    throw ApiError.invalidRequest('bytes must be the size of the file, a whole number.', 'bytes');
  }
  return { filename: filenameOf(filename), bytes: bytes as number, ...keep(body.expires_after) };
}

function keep(policy: unknown): Pick<FileUpload, 'keepSeconds'> {
  const keepSeconds = keepSecondsOf(policy, 'expires_after');
  return keepSeconds === undefined ? {} : { keepSeconds };
}

function mustBeBatch(purpose: unknown): void {
  if (purpose === 'batch') return;
  const given = typeof purpose === 'string' ? `, got ${purpose.slice(0, 64)}` : '';
  throw ApiError.invalidRequest(`purpose must be batch: files for anything else are not kept here${given}.`, 'purpose');
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
