import { createHash, createHmac } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { BusEvent } from '../../../lambda/circuit-breaking/state-change';
import { eventPublisher } from '../../../lambda/events/environment';
import { putEvents } from '../../../lambda/events/put-events';

const BUS = 'arn:aws:events:eu-west-1:111122223333:event-bus/default';
const SECRET = 'secret';
const NOW = new Date('2026-11-23T12:00:00.250Z');
const event = (backend: string): BusEvent => ({ source: 's', detailType: 'd', detail: { backend }, time: 1500 });

interface Call {
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
  readonly entries: readonly { readonly Detail: string }[];
}

describe('events', () => {
  let server: Server;
  let endpoint: string;
  let calls: Call[];
  let answer: (response: ServerResponse, call: Call) => void;

  const taken: typeof answer = (response, { entries }) => {
    response.end(JSON.stringify({ FailedEntryCount: 0, Entries: entries.map((_, i) => ({ EventId: `e${i}` })) }));
  };

  beforeEach(async () => {
    calls = [];
    answer = taken;
    server = createServer((request, response) => {
      const parts: Buffer[] = [];
      request.on('data', (part: Buffer) => parts.push(part));
      request.on('end', () => {
        const body = Buffer.concat(parts).toString();
        const { Entries: entries } = JSON.parse(body) as { Entries: Call['entries'] };
        calls.push({ headers: request.headers, body, entries });
        answer(response, calls.at(-1)!);
      });
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  });
  afterEach(
    () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  );

  const put = (events: readonly BusEvent[]) =>
    putEvents(events, {
      bus: BUS,
      region: 'eu-west-1',
      endpoint,
      credentials: () => ({ accessKeyId: 'AKID', secretAccessKey: SECRET, sessionToken: 'token' }),
      now: () => NOW,
    });
  const backendsOf = ({ entries }: Call) =>
    entries.map(({ Detail }) => (JSON.parse(Detail) as { backend: string }).backend);

  it('are put onto the bus by a call that AWS would know as signed', async () => {
    await put([event('gpu')]);
    const [{ headers, body }] = calls as [Call];
    expect(headers).toMatchObject({
      'x-amz-target': 'AWSEvents.PutEvents',
      'content-type': 'application/x-amz-json-1.1',
      'x-amz-security-token': 'token',
      'x-amz-date': '20261123T120000Z',
    });
    expect(JSON.parse(body)).toEqual({
      Entries: [{ Source: 's', DetailType: 'd', Detail: '{"backend":"gpu"}', EventBusName: BUS, Time: 1.5 }],
    });
    expect(headers.authorization).toBe(signatureOf(headers, body));
  });

  it('are sent ten in a call, which is all that the service takes', async () => {
    await put(Array.from({ length: 23 }, (_, i) => event(`b${i}`)));
    expect(calls.map(({ entries }) => entries.length).sort()).toEqual([10, 10, 3]);
  });

  it('that were refused are sent once more, and no others', async () => {
    answer = (response, call) => {
      if (calls.length > 1) return taken(response, call);
      const refused = { ErrorCode: 'ThrottlingException', ErrorMessage: 'slow down' };
      response.end(JSON.stringify({ FailedEntryCount: 1, Entries: [{ EventId: 'e' }, refused, { EventId: 'e' }] }));
    };
    await put(['a', 'b', 'c'].map(event));
    expect(calls.map(backendsOf)).toEqual([['a', 'b', 'c'], ['b']]);
  });

  it('that are refused again are a failure that says why', async () => {
    answer = (response) => {
      const refused = { ErrorCode: 'InternalFailure', ErrorMessage: 'no luck' };
      response.end(JSON.stringify({ FailedEntryCount: 1, Entries: [refused] }));
    };
    await expect(put([event('a')])).rejects.toThrow('EventBridge refused 1 events: InternalFailure no luck');
    expect(calls).toHaveLength(2);
  });

  it('get a second try where the service fails or breaks off, and its own words where it fails again', async () => {
    answer = (response, call) => (calls.length === 1 ? response.destroy() : taken(response, call));
    await put([event('a')]);
    expect(calls).toHaveLength(2);
    answer = (response) => response.writeHead(400).end('{"__type":"AccessDeniedException"}');
    await expect(put([event('a')])).rejects.toThrow('EventBridge answered 400: {"__type":"AccessDeniedException"}');
  });

  it('hold nobody for longer than a second', async () => {
    answer = () => undefined;
    const started = performance.now();
    await expect(put([event('a')])).rejects.toThrow(/timeout/i);
    expect(performance.now() - started).toBeLessThan(1400);
    expect(calls).toHaveLength(2);
  });

  it('are published where the environment names a bus, and nowhere without', async () => {
    const environment = {
      AWS_REGION: 'eu-west-1',
      AWS_ACCESS_KEY_ID: 'AKID',
      AWS_SECRET_ACCESS_KEY: SECRET,
      AWS_ENDPOINT_URL_EVENTBRIDGE: endpoint,
    };
    expect(eventPublisher(environment)).toBeUndefined();
    await eventPublisher({ ...environment, EVENT_BUS: BUS })!([event('gpu')]);
    expect(calls.map(backendsOf)).toEqual([['gpu']]);
    expect(() => eventPublisher({ EVENT_BUS: BUS })).toThrow('AWS_REGION must be set');
  });
});

/** The header of Signature Version 4, worked out by its description and not by the signer that is tried here. */
function signatureOf(headers: IncomingMessage['headers'], body: string): string {
  const sha256 = (text: string) => createHash('sha256').update(text).digest('hex');
  const hmac = (key: string | Buffer, text: string) => createHmac('sha256', key).update(text).digest();
  const names = /SignedHeaders=([^,]+)/.exec(headers.authorization!)![1]!;
  for (const name of ['host', 'x-amz-date', 'x-amz-target']) expect(names.split(';')).toContain(name);
  const canonical = names.split(';').map((name) => `${name}:${String(headers[name]).trim()}\n`);
  const request = ['POST', '/', '', canonical.join(''), names, sha256(body)].join('\n');
  const scope = '20261123/eu-west-1/events/aws4_request';
  const toSign = ['AWS4-HMAC-SHA256', '20261123T120000Z', scope, sha256(request)].join('\n');
  const key = scope.split('/').reduce<string | Buffer>((made, part) => hmac(made, part), `AWS4${SECRET}`);
  const signature = hmac(key, toSign).toString('hex');
  return `AWS4-HMAC-SHA256 Credential=AKID/${scope}, SignedHeaders=${names}, Signature=${signature}`;
}
