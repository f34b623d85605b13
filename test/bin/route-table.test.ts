import { describe, expect, it } from '@jest/globals';
import { findRoute } from '../../bin/start/api-gateway/route-table';

const ROUTES = [
  { method: 'GET', path: '/v1/{rest+}' },
  { method: 'GET', path: '/v1/models/{model}' },
  { method: 'GET', path: '/v1/models/special' },
  { method: 'ANY', path: '/v1/models/{model}/any' },
  { method: 'POST', path: '/v1/models/{model}/any' },
  { method: 'GET', path: '' },
];

describe('findRoute', () => {
  it.each<[string, string, string | undefined, Record<string, string>]>([
    ['GET', '/v1/models/special', '/v1/models/special', {}],
    ['GET', '/v1/models/llama', '/v1/models/{model}', { model: 'llama' }],
    ['GET', '/v1/models/a%2Fb', '/v1/models/{model}', { model: 'a/b' }],
    ['GET', '/v1/models/%', '/v1/models/{model}', { model: '%' }],
    ['GET', '/v1/other/path', '/v1/{rest+}', { rest: 'other/path' }],
    ['DELETE', '/v1/models/x/any', '/v1/models/{model}/any', { model: 'x' }],
    ['POST', '/v1/models', undefined, {}],
    ['GET', '/v2', undefined, {}],
  ])('leads %s %s to %s', (method, path, route, parameters) => {
    const match = findRoute(ROUTES, method, path);
    expect(match?.route.path).toBe(route);
    expect(match?.parameters ?? {}).toEqual(parameters);
  });

  it('prefers a named method to any method', () => {
    expect(findRoute(ROUTES, 'POST', '/v1/models/x/any')?.route.method).toBe('POST');
  });
});
