import { ApiError } from '../gateway/api-error';

/** A field of a form. */
export interface FormPart {
  readonly name: string;
  /** Set where the field is a file; without the folders that a client may have put before it. */
  readonly filename?: string;
  /** The bytes, where they stand in the body: none is copied. */
  readonly body: Buffer;
}

const LINE_BREAK = Buffer.from('\r\n');
const END_OF_HEADERS = Buffer.from('\r\n\r\n');

/** A part's headers name it and say what it is; whoever writes a kilobyte there means no good. */
const MOST_HEADER_BYTES = 4096;

/** A form of ours has four fields. */
const MOST_PARTS = 32;

/**
 * The boundary of a form (RFC 2046, section 5.1.1); undefined where the content type is none of a form.
 *
 * @throws ApiError for a form without one
 */
export function boundaryOf(contentType: string | undefined): string | undefined {
  if (!/^multipart\/form-data\s*(;|$)/i.test(contentType ?? '')) return undefined;
  const [, quoted, plain] = /;\s*boundary=(?:"([^"]*)"|([^\s;"]+))/i.exec(contentType ?? '') ?? [];
  const boundary = quoted ?? plain ?? '';
  if (!/^[\w'()+,./:=? -]{0,69}[\w'()+,./:=?-]$/.test(boundary)) {
    throw ApiError.invalidRequest('The content-type multipart/form-data must have a boundary of 1 to 70 characters.');
  }
  return boundary;
}

/**
 * Takes a form apart (RFC 7578), as browsers and the OpenAI clients write it.
 *
 * @throws ApiError for what is no form, and for one that ends before its end
 */
export function parseMultipart(body: Buffer, boundary: string): readonly FormPart[] {
  const delimiter = Buffer.from(`\r\n--${boundary}`);
  const parts: FormPart[] = [];
  // The first delimiter may stand at the very start, where no line break is before it.
  const opening = delimiter.subarray(LINE_BREAK.length);
  let at = body.subarray(0, opening.length).equals(opening) ? opening.length : afterNext(body, delimiter, 0);
  for (;;) {
    const rest = afterPadding(body, at);
    if (isClosing(body, at)) return parts;
    if (!body.subarray(rest, rest + 2).equals(LINE_BREAK))
      throw malformed('a boundary is not followed by a line break');
    if (parts.length === MOST_PARTS) throw malformed(`it has more than ${MOST_PARTS} fields`);
    // A part without headers begins with the empty line itself.
    const headersEnd = body.indexOf(END_OF_HEADERS, rest);
    if (headersEnd < 0 || headersEnd - rest > MOST_HEADER_BYTES) throw malformed('a field has no end of its headers');
    const start = headersEnd + END_OF_HEADERS.length;
    // An empty body may share its line break with the headers' end.
    const end = body.indexOf(delimiter, start - LINE_BREAK.length);
    if (end < 0) throw truncated();
    const headers = body.toString('utf8', rest + 2, Math.max(rest + 2, headersEnd));
    parts.push({ ...dispositionOf(headers), body: body.subarray(Math.min(start, end), end) });
    at = end + delimiter.length;
  }
}

function afterNext(body: Buffer, delimiter: Buffer, from: number): number {
  const found = body.indexOf(delimiter, from);
  if (found < 0) throw malformed('its boundary does not occur in it');
  return found + delimiter.length;
}

function isClosing(body: Buffer, at: number): boolean {
  return body[at] === 0x2d && body[at + 1] === 0x2d;
}

/** White space may follow a boundary. */
function afterPadding(body: Buffer, at: number): number {
  let end = at;
  while (body[end] === 0x20 || body[end] === 0x09) end += 1;
  if (end >= body.length) throw truncated();
  return end;
}

function dispositionOf(headers: string): Pick<FormPart, 'name' | 'filename'> {
  const [, disposition] = /^content-disposition:\s*form-data\s*;(.*)$/im.exec(headers) ?? [];
  const name = disposition === undefined ? undefined : parameter(disposition, 'name');
  if (disposition === undefined || name === undefined)
    throw malformed('a field has no content-disposition with a name');
  const filename = parameter(disposition, 'filename');
  return { name, ...(filename !== undefined && { filename: filename.split(/[\\/]/).at(-1) ?? '' }) };
}

/** A parameter of a header, with the escapes that browsers use for what would break the line. */
function parameter(disposition: string, name: string): string | undefined {
  const [, quoted, plain] = new RegExp(`(?:^|;)\\s*${name}=(?:"([^"]*)"|([^\\s;"]+))`, 'i').exec(disposition) ?? [];
  return (quoted ?? plain)?.replace(/%22|%0d|%0a/gi, (escape) => decodeURIComponent(escape));
}

function malformed(reason: string): ApiError {
  return ApiError.invalidRequest(`The multipart form of your request cannot be read: ${reason}.`);
}

function truncated(): ApiError {
  return ApiError.invalidRequest(
    'The multipart form of your request ends before its closing boundary: it is incomplete.',
  );
}
