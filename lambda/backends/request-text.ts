/** Visible ASCII, spaces and tabs: nothing in it can end a header line and begin another. */
const HEADER_VALUE = /^[\t\x20-\x7e]*$/;
const HEADER_NAME = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;

/** A request as it is written to a connection. */
export interface RequestText {
  readonly text: string;
  /** `latin1` for plain ASCII, which needs no conversion. */
  readonly encoding: 'latin1' | 'utf8';
}

/** What all requests to one path begin with. */
export function requestPrefix(url: URL): string {
  const credentials = `${decodeURIComponent(url.username)}:${decodeURIComponent(url.password)}`;
  const authorization = `authorization: Basic ${Buffer.from(credentials).toString('base64')}\r\n`;
  const prefix = `POST ${url.pathname}${url.search} HTTP/1.1\r\nhost: ${url.host}\r\n`;
  return credentials === ':' ? prefix : prefix + authorization;
}

/**
 * Writes a POST with its body.
 *
 * @throws TypeError for a header that could be read as anything else than one header
 */
export function requestText(prefix: string, headers: Readonly<Record<string, string>>, body: string): RequestText {
  let text = prefix;
  for (const name of Object.keys(headers)) {
    const value = headers[name]!;
    if (!HEADER_NAME.test(name) || !HEADER_VALUE.test(value)) throw new TypeError(`the header ${name} cannot be sent`);
    text += `${name}: ${value}\r\n`;
  }
  const bytes = Buffer.byteLength(body);
  return {
    text: `${text}content-length: ${bytes}\r\n\r\n${body}`,
    encoding: bytes === body.length ? 'latin1' : 'utf8',
  };
}
