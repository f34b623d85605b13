import { describe, expect, it } from '@jest/globals';
import { storeAddress } from '../../../lambda/store/store-address';

describe('the address of a store', () => {
  it.each([
    ['redis://localhost', { host: 'localhost', port: 6379, tls: false }],
    ['rediss://cache.example:6380', { host: 'cache.example', port: 6380, tls: true }],
    ['redis://[::1]:7000/3', { host: '::1', port: 7000, tls: false, database: 3 }],
    ['redis://a%40b:p%3Aw@host/0', { host: 'host', port: 6379, tls: false, username: 'a@b', password: 'p:w' }],
    ['redis://:secret@host/', { host: 'host', port: 6379, tls: false, password: 'secret' }],
  ])('is read from %s', (url, address) => {
    expect(storeAddress(url)).toEqual(address);
  });

  it.each(['', 'localhost:6379', 'http://host', 'redis://', 'redis://host/a', 'redis://host/0/1', 'redis://host?db=1'])(
    'is not %p, and the error does not tell a password',
    (url) => {
      expect(() => storeAddress(url)).toThrow(/must be redis:\/\//);
      expect(() => storeAddress(`${url}#:secret@x`)).not.toThrow(/secret/);
    },
  );
});
