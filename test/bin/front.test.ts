import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import type { Writable } from 'node:stream';
import { readApi } from '../../bin/start/api-gateway/api-definition';
import { type AnsweredRequest, ApiGatewayFront } from '../../bin/start/api-gateway/front';
import { UsagePlans } from '../../bin/start/api-gateway/usage-plans';
import { type HttpListener, listenLocally } from '../../bin/start/http-listener';
import { type LambdaFunction, loadFunction } from '../../bin/start/lambda-runtime';
import { synthesise } from '../../bin/start/synthesis';
import { registerTenantKeys } from '../../bin/start/tenant-keys';
import { AUTHORIZE, fixtureApi, SERVE } from './fixture-api';

const KEY = 'sk-acme-key';

interface ProxyEvent {
  readonly httpMethod: string;
  readonly resource: string;
  readonly pathParameters: Record<string, string> | null;
  readonly queryStringParameters: Record<string, string> | null;
  readonly headers: Record<string, string>;
  readonly requestContext: { readonly authorizer: Record<string, string> };
  readonly body: string | null;
}

type Serve = (event: ProxyEvent, stream: Writable) => Promise<void> | void;

const { template } = (() => {
  const synthesis = synthesise(fixtureApi);
  synthesis.remove();
  return synthesis;
})();

describe('the front that stands for API Gateway', () => {
  let listener: HttpListener;
  let front: ApiGatewayFront;
  let serve: Serve;
  let authorizerAnswer: (token: string) => unknown;
  let authorizerCalls: number;
  let now: number;
  let answered: AnsweredRequest[];

  const allow = (effect = 'Allow', resource = '*') => ({
    principalId: 'acme',
    policyDocument: { Statement: [{ Effect: effect, Action: 'execute-api:Invoke', Resource: resource }] },
    usageIdentifierKey: KEY,
    context: { tenant: 'acme', level: 3 },
  });

  beforeEach(async () => {
    now = Date.UTC(2026, 0, 1);
    authorizerCalls = 0;
    answered = [];
    authorizerAnswer = () => allow();
    serve = (event, stream) => {
      const body = awslambda.HttpResponseStream.from(stream, { statusCode: 201, headers: { 'x-mine': 'yes' } });
      body.end(JSON.stringify(event));
    };
    const load = (id: string, handler: (...args: never[]) => unknown) =>
      loadFunction(
        { id, file: '/fixture.mjs', handler: 'handler', timeoutMs: 1000, environment: {} },
        () => undefined,
        () => Promise.resolve({ handler }),
      );
    const functions = new Map<string, LambdaFunction>();
    for (const [id, { Type: type }] of Object.entries(template.Resources)) {
      if (type !== 'AWS::Lambda::Function') continue;
      if (id.startsWith(SERVE)) {
        functions.set(id, await load(id, (event: ProxyEvent, stream: never) => serve(event, stream)));
      }
      if (id.startsWith(AUTHORIZE)) {
        const authorize = ({ authorizationToken }: { authorizationToken: string }) => {
          authorizerCalls += 1;
          return authorizerAnswer(authorizationToken);
        };
        functions.set(id, await load(id, authorize));
      }
    }
    const { keyIds } = registerTenantKeys(template, new Map([['acme', [KEY]]]));
    front = new ApiGatewayFront({
      api: readApi(template),
      usagePlans: new UsagePlans(template, keyIds, () => now),
      functions,
      onAnswered: (request) => answered.push(request),
    });
    listener = await listenLocally(0, (request, response) => front.handle(request, response));
  });

  afterEach(() => listener.close());

  const call = (path: string, init: RequestInit = {}) =>
    fetch(listener.url + path, { ...init, headers: { authorization: `Bearer ${KEY}`, ...init.headers } });
  const post = (body: string, headers: Record<string, string> = { 'content-type': 'application/json' }) =>
    call('/v1/chat', { method: 'POST', body, headers });
  const messageOf = async (response: Response) =>
    ((await response.json()) as { error: { message: string } }).error.message;

  it('hands the handler the event of a proxy integration, with what the authorizer knows', async () => {
    const response = await call('/v1/models/a%2Fb?x=1&x=2');
    expect(response.status).toBe(201);
    expect(response.headers.get('x-mine')).toBe('yes');
    expect(await response.json()).toMatchObject({
      httpMethod: 'GET',
      resource: '/v1/models/{model}',
      pathParameters: { model: 'a/b' },
      queryStringParameters: { x: '2' },
      requestContext: { stage: 'prod', authorizer: { principalId: 'acme', tenant: 'acme', level: '3' } },
      body: null,
    });
    await front.idle();
    expect(answered).toMatchObject([{ method: 'GET', path: '/v1/models/a%2Fb', statusCode: 201, tenant: 'acme' }]);
  });

  it('hands a form over in base64, byte by byte, where the API says that forms are binary', async () => {
    const form = new FormData();
    form.append('file', new Blob([Buffer.from([0, 255, 128, 10])]), 'bytes.bin');
    const response = await call('/v1/chat', { method: 'POST', body: form });
    const { body, isBase64Encoded } = (await response.json()) as { body: string; isBase64Encoded: boolean };
    expect(isBase64Encoded).toBe(true);
    expect(Buffer.from(body, 'base64').includes(Buffer.from([13, 10, 0, 255, 128, 10, 13, 10]))).toBe(true);
    const json = await call('/v1/chat', { method: 'POST', body: '{"model":"ü"}' });
    expect(await json.json()).toMatchObject({ body: '{"model":"ü"}', isBase64Encoded: false });
  });

  it('passes a redirect on, for the client to follow', async () => {
    serve = (_event, stream) => {
      awslambda.HttpResponseStream.from(stream, { statusCode: 302, headers: { location: 'http://elsewhere/x' } }).end(
        '{}',
      );
    };
    const response = await call('/v1/models', { redirect: 'manual' });
    expect([response.status, response.headers.get('location')]).toEqual([302, 'http://elsewhere/x']);
  });

  it('passes each piece of an answer on as it is written', async () => {
    let writeMore = (): void => undefined;
    serve = async (_event, stream) => {
      const body = awslambda.HttpResponseStream.from(stream, { statusCode: 200, headers: {} });
      body.write('first');
      await new Promise<void>((resolve) => (writeMore = resolve));
      body.end('second');
    };
    const reader = (await call('/v1/models')).body!.getReader();
    expect(Buffer.from((await reader.read()).value).toString()).toBe('first');
    writeMore();
    expect(Buffer.from((await reader.read()).value).toString()).toBe('second');
  });

  it('lets the handler know that the client hung up', async () => {
    const closed = new Promise<void>((resolve) => {
      serve = (_event, stream) => {
        const body = awslambda.HttpResponseStream.from(stream, { statusCode: 200, headers: {} });
        body.write('first');
        return new Promise<void>((done) => body.on('close', () => (resolve(), done())));
      };
    });
    const abort = new AbortController();
    await call('/v1/models', { signal: abort.signal });
    abort.abort();
    await closed;
    await front.idle();
  });

  it('waits for a handler that settles after its last byte', async () => {
    let settled = false;
    serve = async (_event, stream) => {
      awslambda.HttpResponseStream.from(stream, { statusCode: 200, headers: {} }).end('answer');
      await new Promise((resolve) => setTimeout(resolve, 30));
      settled = true;
    };
    await (await call('/v1/models')).text();
    expect(settled).toBe(false);
    await front.idle();
    expect(settled).toBe(true);
  });

  it('answers a health check without key and function', async () => {
    const response = await fetch(`${listener.url}/healthz`);
    expect([response.status, await response.json()]).toEqual([200, { status: 'ok' }]);
    expect(authorizerCalls).toBe(0);
  });

  it('asks the authorizer once for a key, not for each request', async () => {
    await call('/v1/models');
    await call('/v1/models/x');
    expect(authorizerCalls).toBe(1);
  });

  it.each([
    ['without a key', undefined],
    ['with a key in another form', 'Basic abc'],
  ])('refuses a request %s and calls nothing', async (_, authorization) => {
    const response = await fetch(`${listener.url}/v1/models`, { headers: authorization ? { authorization } : {} });
    expect([response.status, await messageOf(response)]).toEqual([401, 'Unauthorized']);
    expect(authorizerCalls).toBe(0);
  });

  it.each<[string, number, () => unknown]>([
    ['a key that the authorizer does not know', 401, () => Promise.reject(new Error('Unauthorized'))],
    ['a caller whom the policy denies', 403, () => allow('Deny')],
    ['a caller whom the policy allows something else', 403, () => allow('Allow', 'arn:*/prod/POST/*')],
    ['everybody while the authorizer fails', 500, () => Promise.reject(new Error('table lost'))],
    ['everybody while the authorizer answers nonsense', 500, () => ({})],
    ['a caller without a usage plan', 403, () => ({ ...allow(), usageIdentifierKey: 'sk-other' })],
  ])('refuses %s with %d', async (_, status, answer) => {
    authorizerAnswer = answer;
    expect((await call('/v1/models')).status).toBe(status);
  });

  it("lets a caller in by a policy with the method's own address", async () => {
    authorizerAnswer = () => allow('Allow', 'arn:aws:execute-api:*:local/prod/GET/v1/model?');
    expect((await call('/v1/models')).status).toBe(201);
  });

  it('refuses an unknown path as API Gateway does', async () => {
    expect((await call('/nowhere')).status).toBe(403);
    expect((await call('/v1/models', { method: 'DELETE' })).status).toBe(403);
  });

  it('refuses a body that does not fit the model, and says what is wrong in valid JSON', async () => {
    const response = await post('{"share":0}');
    expect(response.status).toBe(400);
    expect(await messageOf(response)).toBe("does not fit: [must have required property 'model', /share must be > 0]");
    expect(await messageOf(await post('{"model":'))).toContain('not valid JSON');
    now += 60_000;
    expect(await messageOf(await post(''))).toContain('the body is empty');
  });

  it('takes a body that fits, and one of a type without a model', async () => {
    expect(
      (await post('{"model":"m","share":0.5}', { 'content-type': 'application/json; charset=utf-8' })).status,
    ).toBe(201);
    expect((await post('text', { 'content-type': 'text/plain' })).status).toBe(201);
  });

  it('refuses a form of which the event would be larger than Lambda takes, in base64', async () => {
    const form = (bytes: number) => {
      const data = new FormData();
      data.append('file', new Blob([Buffer.alloc(bytes)]), 'zeros.bin');
      return call('/v1/chat', { method: 'POST', body: data });
    };
    serve = (_event, stream) =>
      void awslambda.HttpResponseStream.from(stream, { statusCode: 200, headers: {} }).end('x');
    expect((await form(4_700_000)).status).toBe(200);
    expect((await form(4_720_000)).status).toBe(413);
  });

  it('refuses a text of which the event would be larger than Lambda takes, as JSON writes it', async () => {
    // A quote is two bytes there.
    const text = (bytes: number) => post('"'.repeat(bytes), { 'content-type': 'text/plain' });
    serve = (_event, stream) =>
      void awslambda.HttpResponseStream.from(stream, { statusCode: 200, headers: {} }).end('x');
    expect((await text(3_100_000)).status).toBe(200);
    expect((await text(3_150_000)).status).toBe(413);
  });

  it('refuses a body beyond 10 MB', async () => {
    const response = await post(JSON.stringify({ model: 'm', text: 'x'.repeat(11 * 1024 * 1024) })).catch(
      () => undefined,
    );
    // The answer may meet a client that is still sending; then the client sees the connection end.
    if (response) expect(response.status).toBe(413);
    await front.idle();
    expect(answered.map(({ statusCode }) => statusCode)).toEqual([413]);
  });

  it("throttles a key that has spent its plan's burst, and lets it on at the plan's rate", async () => {
    const statuses = [];
    for (let i = 0; i < 3; i++) statuses.push((await call('/v1/models')).status);
    expect(statuses).toEqual([201, 201, 429]);
    const response = await call('/v1/models');
    expect(response.headers.get('retry-after')).toBe('7');
    expect(response.headers.get('x-request-id')).toBe(response.headers.get('x-amzn-requestid'));
    expect(await messageOf(response)).toBe('slower');
    now += 1000;
    expect((await call('/v1/models')).status).toBe(201);
  });

  it("refuses a key that has spent its day's quota, until the next day", async () => {
    for (let i = 0; i < 3; i++) {
      expect((await call('/v1/models')).status).toBe(201);
      now += 60_000;
    }
    const response = await call('/v1/models');
    expect([response.status, await messageOf(response)]).toEqual([429, 'Limit Exceeded']);
    now += 86_400_000;
    expect((await call('/v1/models')).status).toBe(201);
  });

  describe('when the handler fails', () => {
    beforeEach(() => {
      jest.spyOn(process.stderr, 'write').mockReturnValue(true);
    });
    afterEach(() => {
      jest.restoreAllMocks();
    });

    it.each<[string, Serve]>([
      ['throws', () => Promise.reject(new Error('broken'))],
      ['ends without an answer', (_event, stream) => void stream.end()],
      ['writes no status', (_event, stream) => void stream.end('just text')],
      [
        'writes an impossible status',
        (_event, stream) => void awslambda.HttpResponseStream.from(stream, { statusCode: 42, headers: {} }).end('x'),
      ],
    ])('answers 502 where it %s', async (_, failing) => {
      serve = failing;
      expect((await call('/v1/models')).status).toBe(502);
    });

    it('breaks off an answer that has begun', async () => {
      serve = async (_event, stream) => {
        awslambda.HttpResponseStream.from(stream, { statusCode: 200, headers: {} }).write('half');
        await new Promise((resolve) => setTimeout(resolve, 20));
        throw new Error('broken');
      };
      const response = await call('/v1/models');
      await expect(response.text()).rejects.toThrow();
    });
  });
});
