import fc from 'fast-check';

/** A request that no client should send. */
export interface MalformedRequest {
  /** What is wrong with it. */
  readonly fault: string;
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
  /** Whether it has the key of a tenant. */
  readonly known: boolean;
  /** Whether it is odd rather than wrong, and may be served. */
  readonly mayPass: boolean;
}

type Fault = Partial<Omit<MalformedRequest, 'body'>> & { readonly fault: string; readonly body: Buffer | string };

const CHAT = '/v1/chat/completions';
const PATHS = { [CHAT]: 'llama', '/v1/completions': 'base', '/v1/embeddings': 'embedder' } as const;

/** Requests that are the same for the same seed. */
export function malformedRequests(seed: number, count: number): MalformedRequest[] {
  return fc.sample(malformed, { seed, numRuns: count }).map(({ body, ...fault }) => ({
    method: 'POST',
    path: CHAT,
    headers: { 'content-type': 'application/json' },
    known: true,
    mayPass: false,
    ...fault,
    body: typeof body === 'string' ? Buffer.from(body) : body,
  }));
}

const text = fc.string({ unit: 'binary', maxLength: 40 });
const message = { role: 'user', content: 'Hello' };
const valid = { model: 'llama', messages: [message] };

/** Values that are no string, no whole number and no list of anything useful. */
const wrong = fc.constantFrom<unknown>({}, [], [[]], [null], [{}], true, -1, 0.5, 1e308, { a: 1 }, [1.5], [true, 'x']);
const json = fc.jsonValue({ maxDepth: 3 });

const noJson = fc
  .oneof(
    fc.uint8Array({ maxLength: 400 }).map((bytes) => Buffer.concat([Buffer.from('{'), bytes])),
    fc.integer({ min: 0, max: JSON.stringify(valid).length - 1 }).map((end) => JSON.stringify(valid).slice(0, end)),
    fc.constantFrom('', ' ', '{', '{"model":}', "{'model':'llama'}", '{"n":NaN}', '{"n":01}', '\ufeff{}', '{}{}', '\0'),
  )
  .map((body): Fault => ({ fault: 'no JSON', body }));

const noObject = fc
  .oneof(fc.array(json, { maxLength: 4 }), text, fc.double(), fc.boolean(), fc.constant(null))
  .map((value): Fault => ({ fault: 'no object', body: JSON.stringify(value) ?? 'null' }));

/** One field of a request that is otherwise in order. */
const wrongField = fc
  .oneof(
    fc.tuple(fc.constant('model'), fc.oneof(wrong, fc.constantFrom(null, '', 7, -0))),
    fc.tuple(fc.constant('messages'), fc.oneof(wrong, text, fc.constantFrom(null, 7))),
    fc.tuple(fc.constant('stream'), fc.oneof(text, fc.constantFrom<unknown>(0, 1, {}, [], 'true'))),
    fc.tuple(fc.constantFrom('n', 'best_of'), fc.constantFrom<unknown>(0, -1, 1.5, '2', 129, 1e300, {}, [1], true)),
    fc.tuple(
      fc.constantFrom('max_tokens', 'max_completion_tokens'),
      fc.constantFrom<unknown>(-1, 0.1, '10', {}, [], 1e15, 9_007_199_254_740_993, true),
    ),
    fc.tuple(fc.constant('stream_options'), fc.constantFrom<unknown>([], 'x', 1, true, { include_usage: true })),
  )
  .map(([field, value]): Fault => ({ fault: `wrong ${field}`, body: JSON.stringify({ ...valid, [field]: value }) }));

const wrongMessage = fc
  .oneof(
    fc.constantFrom<unknown>(null, 1, 'Hello', [], true, { role: 7 }, { content: 'x' }, { role: '' }, { role: null }),
    fc.constantFrom<unknown>(1, true, {}, ['x'], [1], [null], [[]]).map((content) => ({ role: 'user', content })),
  )
  .map((bad): Fault => {
    return { fault: 'wrong message', body: JSON.stringify({ ...valid, messages: [message, bad] }) };
  });

const wrongInput = fc
  .tuple(fc.constantFrom('/v1/completions', '/v1/embeddings'), fc.oneof(wrong, fc.constantFrom(null, 7)))
  .map(([path, value]): Fault => {
    const body = { model: PATHS[path], [path === '/v1/embeddings' ? 'input' : 'prompt']: value };
    return { fault: 'wrong input', path, body: JSON.stringify(body) };
  });

const unknownModel = fc
  .oneof(text, fc.constantFrom('__proto__', 'constructor', 'toString', '../llama', 'LLAMA', 'x'.repeat(100_000)))
  .filter((model) => model !== '')
  .map((model): Fault => ({ fault: 'unknown model', body: JSON.stringify({ ...valid, model }) }));

const prototype = fc
  .constantFrom(
    '{"__proto__":{"model":"llama","messages":[{"role":"user","content":"x"}]}}',
    '{"model":"llama","__proto__":{"messages":[{"role":"user","content":"x"}]}}',
    '{"constructor":{"prototype":{"model":"llama"}},"messages":[{"role":"user","content":"x"}]}',
    '{"model":"llama","messages":[{"__proto__":{"role":"user"},"content":"x"}]}',
    '{"model":"llama","messages":{"__proto__":[],"length":1,"0":{"role":"user","content":"x"}}}',
  )
  .map((body): Fault => ({ fault: 'prototype', body }));

const tooDeep = fc
  .tuple(
    fc.constantFrom('metadata', 'tools', 'response_format', 'unknown'),
    fc.constantFrom<[string, string]>(['[', ']'], ['{"a":', '}']),
    fc.constantFrom(150, 2000, 20_000, 200_000),
  )
  .map(([field, [open, close], depth]): Fault => {
    const nested = `${open.repeat(depth)}1${close.repeat(depth)}`;
    const body = `{"model":"llama","messages":[{"role":"user","content":"x"}],"${field}":${nested}}`;
    return { fault: 'too deep', body };
  });

const tooLarge = fc
  .tuple(fc.constantFrom(40_000, 200_000), fc.constantFrom('x', '€', '\\u0000', '\u{1f600}'))
  .map(([length, unit]): Fault => {
    return {
      fault: 'too large',
      body: JSON.stringify({ ...valid, messages: [{ ...message, content: unit.repeat(length) }] }),
    };
  });

const farTooLarge = fc.constantFrom(7, 11).map((mebibytes): Fault => {
  const content = 'x'.repeat(mebibytes * 1024 * 1024);
  return { fault: 'far too large', body: JSON.stringify({ ...valid, messages: [{ ...message, content }] }) };
});

const encoded = fc.constantFrom('gzip', 'br', 'utf-16').map((encoding): Fault => {
  const headers = { 'content-type': 'application/json', 'content-encoding': encoding };
  return { fault: 'encoded', headers, body: Buffer.from(JSON.stringify(valid), 'utf16le') };
});

const wrongKey = fc
  .constantFrom('', 'Bearer', 'Bearer ', 'Bearer x', 'Basic abc', 'Bearer sk-no-such-key', `Bearer ${'x'.repeat(4000)}`)
  .map((authorization): Fault => {
    const headers = { 'content-type': 'application/json', ...(authorization && { authorization }) };
    return { fault: 'wrong key', known: false, headers, body: JSON.stringify(valid) };
  });

const wrongCall = fc
  .tuple(
    fc.constantFrom('GET', 'PUT', 'DELETE', 'PATCH', 'POST'),
    fc.constantFrom(
      '/',
      '//',
      '/v1',
      '/v1/%',
      '/v1/chat/%00',
      `/${'a/'.repeat(500)}`,
      '/v1/chat/completions/x',
      '/%2e%2e/',
    ),
  )
  .map(([method, path]): Fault => ({ fault: 'wrong call', method, path, body: method === 'GET' ? '' : '{}' }));

/** In order but for what the gateway passes on, or what decoding makes of broken bytes: served, or refused, no more. */
const odd = fc
  .oneof(
    fc.tuple(text, json).map(([field, value]) => JSON.stringify({ ...valid, [`x-${field}`]: value })),
    fc.constant('{"model":"llama","messages":[{"role":"user","content":"x"}],"__proto__":{"stream":true},"a":1e999}'),
    fc
      .uint8Array({ minLength: 1, maxLength: 20, min: 128 })
      .map((bytes) =>
        Buffer.concat([
          Buffer.from('{"model":"llama","messages":[{"role":"user","content":"'),
          bytes,
          Buffer.from('\\ud800"}]}'),
        ]),
      ),
  )
  .chain((body) =>
    fc.record({ body: fc.constant(body), header: fc.string({ unit: fc.constantFrom('a', 'é', '=', ',', '"') }) }),
  )
  .map(({ body, header }): Fault => {
    const headers = { 'content-type': 'application/json', 'cache-control': header, 'idempotency-key': header };
    return { fault: 'odd', mayPass: true, headers, body };
  });

const malformed = fc.oneof(
  ...[noJson, noObject, wrongField, wrongMessage, wrongInput, unknownModel, prototype, encoded].map((arbitrary) => {
    return { arbitrary, weight: 20 };
  }),
  ...[wrongKey, wrongCall, odd].map((arbitrary) => ({ arbitrary, weight: 12 })),
  { arbitrary: tooDeep, weight: 5 },
  { arbitrary: tooLarge, weight: 2 },
  { arbitrary: farTooLarge, weight: 1 },
);
