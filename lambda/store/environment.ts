import { requiredVariable, type Environment } from '../security/environment';
import { environmentCredentials } from '../security/environment-credentials';
import type { ConnectionSettings } from './connection';
import { iamToken } from './iam-token';

/** Where the store is and how to sign in, from the function's environment. */
export function connectionSettings(environment: Environment): Omit<ConnectionSettings, 'onError'> {
  const { STORE_USER: user, STORE_CACHE_NAME: cacheName } = environment;
  const settings = {
    url: requiredVariable(environment, 'STORE_URL'),
    timeoutMs: milliseconds(environment, 'STORE_TIMEOUT_MS', 50),
    connectTimeoutMs: milliseconds(environment, 'STORE_CONNECT_TIMEOUT_MS', 500),
  };
  if (!user || !cacheName) return settings;
  const region = requiredVariable(environment, 'AWS_REGION');
  return {
    ...settings,
    credentials: async () => {
      const credentials = environmentCredentials(environment);
      return { username: user, password: await iamToken({ user, cacheName, region, credentials, now: new Date() }) };
    },
  };
}

function milliseconds(environment: Environment, name: string, preset: number): number {
  const text = environment[name];
  if (!text) return preset;
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1)
    throw new Error(`${name} must be a whole number of at least 1, got ${text}`);
  return value;
}
