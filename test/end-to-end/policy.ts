import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Keys of the tenants below. */
export const ROOMY_KEY = 'sk-test-roomy-tenant';
export const OTHER_KEY = 'sk-test-other-tenant';
export const SINGLE_KEY = 'sk-test-single-tenant';
export const TIGHT_KEY = 'sk-test-tight-tenant';

/** A policy with what the end-to-end tests touch: tenants with and without room, fallback chains, a cache. */
const POLICY = {
  plans: [
    { name: 'roomy', requestsPerMinute: 6000, tokensPerMinute: 1_000_000 },
    // 25 tokens a second: a spent limit is worth waiting for.
    { name: 'tight', requestsPerMinute: 600, tokensPerMinute: 1500 },
    { name: 'single', requestsPerMinute: 6000, tokensPerMinute: 1_000_000, parallelRequests: 1 },
  ],
  tenants: [
    { name: 'acme', plan: 'roomy', keys: [ROOMY_KEY] },
    { name: 'globex', plan: 'roomy', keys: [OTHER_KEY] },
    { name: 'hooli', plan: 'single', keys: [SINGLE_KEY] },
    { name: 'initech', plan: 'tight', keys: [TIGHT_KEY] },
  ],
  backends: [
    { name: 'primary' },
    { name: 'secondary' },
    { name: 'stoppable' },
    { name: 'embedder' },
    { name: 'searcher', path: '/search' },
    { name: 'nova', bedrock: { modelId: 'eu.amazon.nova-lite-v1:0' } },
  ],
  models: [
    { name: 'assistant', backends: ['primary', 'secondary'] },
    { name: 'resilient', backends: ['stoppable', 'secondary'] },
    { name: 'embedding', kind: 'embedding', backends: ['embedder'] },
    { name: 'hosted', backends: ['nova'] },
    { name: 'retrieval', kind: 'service', backends: ['searcher'] },
  ],
  cache: { ttlSeconds: 60 },
};

/** Writes a policy to a file and returns its path. */
export function policyFile(policy: unknown = POLICY): string {
  const file = join(mkdtempSync(join(tmpdir(), 'end-to-end-')), 'policy.json');
  writeFileSync(file, typeof policy === 'string' ? policy : JSON.stringify(policy));
  return file;
}
