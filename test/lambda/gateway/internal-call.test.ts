import { describe, expect, it } from '@jest/globals';
import type { ClientConnection } from '../../../lambda/gateway/client-connection';
import type { HttpEvent } from '../../../lambda/gateway/http-event';
import { type InternalCall, internalCall, type InternalCallPorts } from '../../../lambda/gateway/internal-call';
import type { Priority } from '../../../lambda/gateway/priority';

const CALL: InternalCall = { tenant: 'docs', priority: 'batch', request: { model: 'm', input: ['a'] } };

const ports = (serve: InternalCallPorts['serve'], changes: Partial<InternalCallPorts> = {}): InternalCallPorts => ({
  tenants: [
    { name: 'acme', plan: 'standard' },
    { name: 'docs', plan: 'ingest' },
  ],
  serve,
  mostMs: 1000,
  timer: () => () => undefined,
  newId: () => 'id-1',
  ...changes,
});

describe('a call that a part of the platform makes', () => {
  it('is served as one of the tenant, on its plan, at its priority', async () => {
    const seen: [HttpEvent, Priority][] = [];
    const answer = await internalCall(
      CALL,
      ports(async (event, client, priority) => {
        seen.push([event, priority]);
        client.start(200, { 'content-type': 'application/json' });
        await client.end('{"data":[]}');
      }),
    );
    expect(answer).toEqual({ status: 200, body: '{"data":[]}' });
    const [[event, priority] = []] = seen;
    expect(priority).toBe('batch');
    expect(event).toMatchObject({
      ...{ httpMethod: 'POST', path: '/v1/embeddings', headers: null },
      requestContext: { requestId: 'id-1', authorizer: { tenant: 'docs', plan: 'ingest' } },
    });
    expect(JSON.parse(event!.body!)).toEqual(CALL.request);
  });

  it('says when to come again where a limit is spent', async () => {
    const answer = await internalCall(
      CALL,
      ports(async (_, client) => {
        client.start(429, { 'retry-after': '7' });
        await client.end('{"error":{}}');
      }),
    );
    expect(answer).toEqual({ status: 429, body: '{"error":{}}', retryAfterSeconds: 7 });
  });

  it('is given up when its time is over, and its timer ends with it', async () => {
    let [stopped, fire] = [0, () => undefined as void];
    const serve = (_: HttpEvent, client: ClientConnection) =>
      new Promise((resolve) => client.hungUp.addEventListener('abort', () => resolve(undefined)));
    const timer: InternalCallPorts['timer'] = (ms, callback) => {
      expect(ms).toBe(1000);
      fire = callback;
      return () => (stopped += 1);
    };
    const call = internalCall(CALL, ports(serve, { timer }));
    fire();
    expect(await call).toMatchObject({ status: 504 });
    expect(stopped).toBe(1);
  });

  it('names no tenant that the policy does not have', async () => {
    await expect(
      internalCall(
        { ...CALL, tenant: 'hooli' },
        ports(() => Promise.resolve()),
      ),
    ).rejects.toThrow('the policy has no tenant "hooli"');
  });
});
