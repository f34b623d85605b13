import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { fetchJson } from '../../../lambda/security/fetch-json';

describe('a document of an issuer', () => {
  let server: Server;
  let base: string;
  const connections: (string | undefined)[] = [];
  const paths: string[] = [];

  beforeAll(async () => {
    server = createServer((request, response) => {
      paths.push(request.url!);
      connections.push(request.headers.connection);
      if (request.url === '/moved') response.writeHead(302, { location: '/keys' }).end();
      else if (request.url === '/broken') response.writeHead(500).end('{}');
      else if (request.url === '/page') response.end('<html></html>');
      else if (request.url === '/keys') response.end('{"keys":[]}');
      else if (request.url === '/dripping') response.write('{"keys":');
    }).listen(0, '127.0.0.1');
    await new Promise((resolve) => server.once('listening', resolve));
    base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  });

  afterAll(() => {
    server.closeAllConnections();
    server.close();
  });

  const read = (path: string, ms = 5000) => fetchJson(fetch)(`${base}${path}`, AbortSignal.timeout(ms));

  it('is read, on a connection that is not kept', async () => {
    expect(await read('/keys')).toEqual({ keys: [] });
    expect(connections).toEqual(['close']);
  });

  it.each(['/broken', '/page', '/moved'])('fails at %s', async (path) => {
    paths.length = 0;
    await expect(read(path)).rejects.toThrow();
    expect(paths).toEqual([path]);
  });

  it.each(['/silent', '/dripping'])('fails in time where it never ends: %s', async (path) => {
    await expect(read(path, 100)).rejects.toThrow(/timeout/);
  });
});
