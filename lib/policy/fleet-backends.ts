import type { Backend } from './backend';

/** Whether a backend is a GPU fleet of the platform: one that stands nowhere yet. */
export function isFleet({ url, bedrock }: Pick<Backend, 'url' | 'bedrock'>): boolean {
  return url === undefined && bedrock === undefined;
}
