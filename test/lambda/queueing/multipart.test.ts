import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { ApiError } from '../../../lambda/gateway/api-error';
import { fileUploadOf } from '../../../lambda/queueing/file-upload';
import { boundaryOf, parseMultipart } from '../../../lambda/queueing/multipart';

const parsed = (body: Buffer, boundary: string) =>
  parseMultipart(body, boundary).map(({ name, filename, body: bytes }) => ({ name, filename, text: bytes.toString() }));

async function encoded(form: FormData) {
  const response = new Response(form);
  const boundary = boundaryOf(response.headers.get('content-type') ?? undefined)!;
  return { boundary, body: Buffer.from(await response.arrayBuffer()) };
}

const name = fc.string({ unit: fc.constantFrom('a', 'b', '"', '[', ']', 'é', ' '), minLength: 1, maxLength: 8 });
const text = fc.string({ unit: fc.constantFrom('a', '-', '\r\n', '{', '\0', 'é'), maxLength: 40 });

describe('a form', () => {
  it('is read as Node, which the OpenAI client leaves it to, writes it', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.tuple(name, text, fc.option(name)), { maxLength: 6 }), async (fields) => {
        const form = new FormData();
        for (const [field, value, file] of fields) {
          if (file === null) form.append(field, value);
          else form.append(field, new File([value], file));
        }
        const { boundary, body } = await encoded(form);
        // A text field's line breaks are made whole when it is written.
        const expected = fields.map(([field, value, file]) => ({
          name: field,
          filename: file ?? undefined,
          text: value,
        }));
        expect(parsed(body, boundary)).toEqual(expected);
      }),
    );
  });

  it('is refused wherever it was cut off, and never taken for a shorter one', async () => {
    const form = new FormData();
    form.append('purpose', 'batch');
    form.append('file', new File(['{"custom_id":"one"}\n'], 'x.jsonl'));
    const { boundary, body } = await encoded(form);
    const end = body.lastIndexOf('--') + 2;
    for (let length = 0; length < end; length++) {
      expect(() => parseMultipart(body.subarray(0, length), boundary)).toThrow(ApiError);
    }
    expect(parsed(body.subarray(0, end), boundary)).toHaveLength(2);
  });

  it('is refused or read, whatever its bytes: nothing else happens', () => {
    const pieces = fc.constantFrom(
      '--b',
      '--b--',
      '\r\n',
      'content-disposition: form-data; name="a"',
      '\r\n\r\n',
      'x',
      '-',
    );
    fc.assert(
      fc.property(fc.array(pieces, { maxLength: 20 }), (all) => {
        try {
          parseMultipart(Buffer.from(all.join('')), 'b');
        } catch (error) {
          expect(error).toBeInstanceOf(ApiError);
        }
      }),
    );
  });

  it('may have text before and after it, and white space behind its boundaries', () => {
    const body = 'preamble\r\n--b \t\r\ncontent-disposition: form-data; name=a\r\n\r\n1\r\n--b--\r\nepilogue';
    expect(parsed(Buffer.from(body), 'b')).toEqual([{ name: 'a', filename: undefined, text: '1' }]);
  });

  it('names its files without the folders of whoever sends them', () => {
    const body = '--b\r\nContent-Disposition: form-data; name="f"; filename="C:\\work\\x.jsonl"\r\n\r\n\r\n--b--';
    expect(parsed(Buffer.from(body), 'b')).toEqual([{ name: 'f', filename: 'x.jsonl', text: '' }]);
  });

  it.each([
    ['multipart/form-data; boundary=abc', 'abc'],
    ['Multipart/Form-Data; charset=utf-8; boundary="a b"', 'a b'],
    ['application/json', undefined],
    [undefined, undefined],
  ])('has the boundary of its content type: %s', (type, boundary) => {
    expect(boundaryOf(type)).toBe(boundary);
  });

  it.each(['multipart/form-data', 'multipart/form-data; boundary=', `multipart/form-data; boundary=${'x'.repeat(71)}`])(
    'is refused without a boundary: %s',
    (type) => {
      expect(() => boundaryOf(type)).toThrow(ApiError);
    },
  );
});

describe('an upload', () => {
  const event = (body: string, type: string) => ({
    ...{ httpMethod: 'POST', path: '/v1/files', headers: { 'Content-Type': type }, body, isBase64Encoded: false },
    requestContext: {},
  });
  const formOf = (fields: Readonly<Record<string, string>>, file = 'x') => {
    const parts = Object.entries(fields).map(
      ([field, value]) => `content-disposition: form-data; name="${field}"\r\n\r\n${value}`,
    );
    const last = `content-disposition: form-data; name="file"; filename="x.jsonl"\r\n\r\n${file}`;
    return event(`--b\r\n${[...parts, last].join('\r\n--b\r\n')}\r\n--b--`, 'multipart/form-data; boundary=b');
  };
  const jsonOf = (body: object) => event(JSON.stringify(body), 'application/json');
  const limits = { maxFileBytes: 1000, retentionDays: 7 };
  const errorOf = (of: ReturnType<typeof event>) => {
    try {
      fileUploadOf(of, limits);
    } catch (error) {
      if (error instanceof ApiError) return error.body.error;
    }
    return { param: 'none', message: '' };
  };
  const paramOf = (of: ReturnType<typeof event>) => errorOf(of).param;

  it('says for how long it is to be kept', () => {
    const fields = { purpose: 'batch', 'expires_after[anchor]': 'created_at', 'expires_after[seconds]': '3600' };
    expect(fileUploadOf(formOf(fields), limits)).toMatchObject({ bytes: 1, filename: 'x.jsonl', keepSeconds: 3600 });
    expect(paramOf(formOf({ ...fields, 'expires_after[seconds]': '59' }))).toBe('expires_after.seconds');
    expect(paramOf(formOf({ ...fields, 'expires_after[anchor]': 'never' }))).toBe('expires_after.anchor');
    expect(paramOf(formOf({ ...fields, 'expires_after[seconds]': '3600.5' }))).toBe('expires_after.seconds');
  });

  it('is told how files are sent, where it is neither a form nor an announcement', () => {
    for (const type of ['application/octet-stream', 'application/jsonl', 'text/plain']) {
      const { message } = errorOf(event('{"custom_id":"a"}', type));
      expect(message).toContain('multipart/form-data with the fields purpose and file');
      expect(message).toContain(`got content-type ${type}.`);
    }
    const field = 'content-disposition: form-data; name="purpose"\r\n\r\nbatch';
    const form = (...parts: string[]) =>
      event(`--b\r\n${parts.join('\r\n--b\r\n')}\r\n--b--`, 'multipart/form-data; boundary=b');
    expect(errorOf(form(field)).message).toContain('The form has no field file: it must be a file');
    const text = 'content-disposition: form-data; name="file"\r\n\r\n{}';
    expect(errorOf(form(field, text)).message).toContain('The field file is text: it must be a file');
  });

  it('is not promised to be kept for longer than the policy keeps files', () => {
    const announced = { purpose: 'batch', filename: 'x.jsonl', bytes: 10 };
    const jsonFor = (seconds: unknown) => jsonOf({ ...announced, expires_after: { anchor: 'created_at', seconds } });
    const formFor = (seconds: string) =>
      formOf({ purpose: 'batch', 'expires_after[anchor]': 'created_at', 'expires_after[seconds]': seconds });
    expect(fileUploadOf(jsonFor(604_800), limits)).toMatchObject({ keepSeconds: 604_800 });
    for (const upload of [jsonFor(604_801), formFor('604801')]) {
      expect(errorOf(upload)).toMatchObject({
        param: 'expires_after.seconds',
        message:
          'expires_after.seconds must be a whole number from 3600 to 604800, the 7 days for which files are kept here, ' +
          'got 604801.',
      });
    }
    expect(errorOf(formFor('a week')).message).toMatch(/, got "a week"\.$/);
    expect(errorOf(jsonOf({ ...announced, expires_after: { anchor: 'created_at' } })).message).toMatch(/, got none\.$/);
  });

  it('is refused with the field that is wrong', () => {
    const announced = { purpose: 'batch', filename: 'x.jsonl', bytes: 10 };
    expect(paramOf(jsonOf(announced))).toBe('none');
    expect(paramOf(jsonOf({ ...announced, purpose: 'vision' }))).toBe('purpose');
    expect(paramOf(jsonOf({ ...announced, bytes: '10' }))).toBe('bytes');
    expect(paramOf(jsonOf({ ...announced, filename: 'a\nb' }))).toBe('filename');
    expect(paramOf(jsonOf({ ...announced, bytes: 1001 }))).toBe('file');
    expect(errorOf(jsonOf({ ...announced, purpose: 'vision' })).message).toContain('must be batch, got "vision"');
    expect(paramOf(formOf({}))).toBe('purpose');
    expect(paramOf(formOf({ purpose: 'batch' }, 'x'.repeat(1001)))).toBe('file');
    expect(paramOf(formOf({ purpose: 'batch' }, ''))).toBe('file');
  });
});
