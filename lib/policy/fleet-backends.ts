import type { Backend } from './backend';

/** Whether a backend is a GPU fleet of the platform: one that stands nowhere yet. */
export function isFleet({ url, bedrock }: Pick<Backend, 'url' | 'bedrock'>): boolean {
  return url === undefined && bedrock === undefined;
}

/** Whether an address ends as every OpenAI client's base URL does, so that a call would go to /v1/v1/… below it. */
export function repeatsVersion(url: string, path: string | undefined): boolean {
  return path === undefined && /\/v1\/?$/.test(url);
}
