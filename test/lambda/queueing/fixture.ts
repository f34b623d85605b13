import { resolvePolicy } from '../../../lib/policy/defaults';
import { ModelKind } from '../../../lib/policy/model';
import { newBatch } from '../../../lambda/queueing/batch-life';
import type { BatchRecord } from '../../../lambda/queueing/batch-record';
import { type SplitRules } from '../../../lambda/queueing/split';
import { etagOf } from './memory-books';

export const NOW = 1_800_000_000;

const policy = resolvePolicy({
  plans: [{ name: 'standard', requestsPerMinute: 600, tokensPerMinute: 200_000 }],
  tenants: [{ name: 'acme', plan: 'standard' }],
  backends: [{ name: 'gpu', url: 'https://gpu.example' }],
  models: [
    { name: 'llama', backends: ['gpu'] },
    { name: 'embedder', kind: ModelKind.EMBEDDING, backends: ['gpu'] },
  ],
});

export const RULES: SplitRules = {
  endpoint: '/v1/chat/completions',
  plan: policy.plans[0]!,
  models: policy.models,
  maxLineBytes: 300,
  maxRequests: 10_000,
};

/** A batch of an object. */
export function batchOf(object: Buffer, id = `batch_${'0'.repeat(26)}`): BatchRecord {
  const input = { key: `files/acme/${id}`, bytes: object.length, etag: etagOf(object), fileId: 'file-x' };
  return newBatch({ id, tenant: 'acme', plan: 'standard', endpoint: RULES.endpoint, input }, NOW, 30);
}

/** A good line. */
export function lineOf(id: string | number, model = 'llama'): string {
  const body = { model, messages: [{ role: 'user', content: 'Hi' }] };
  return JSON.stringify({ custom_id: String(id), method: 'POST', url: RULES.endpoint, body });
}
