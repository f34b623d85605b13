import { describe, expect, it } from '@jest/globals';
import { recordLine } from '../../../lambda/observability/record-line';
import { refusalLine } from '../../../lambda/observability/refusal-line';
import type { RequestRecord } from '../../../lambda/observability/request-record';

const NAMES = { namespace: 'Platform', service: 'inference' };
const RECORD: RequestRecord = {
  requestId: 'r',
  startedAt: 1000,
  durationMs: 12.345,
  priority: 'interactive',
  status: 200,
  storeLost: false,
  hungUp: false,
};
const line = (changes: Partial<RequestRecord>) =>
  JSON.parse(recordLine({ ...RECORD, ...changes }, NAMES)) as Record<string, unknown> & {
    _aws: { Timestamp: number; CloudWatchMetrics: { Dimensions: string[][]; Metrics: { Name: string }[] }[] };
  };

describe('the line of a request', () => {
  it('holds every metric that its metrics block names, by service and model, never by tenant', () => {
    const record = line({
      ...{ tenant: 'acme', principal: '0123', model: 'llama', endpoint: 'chat', inputTokens: 7, timeToFirstTokenMs: 3 },
      hedged: true,
      cost: 0.002,
    });
    const [metrics] = record._aws.CloudWatchMetrics;
    expect(metrics!.Dimensions).toEqual([['Service'], ['Service', 'Model']]);
    for (const { Name } of metrics!.Metrics) expect(record[Name]).toEqual(expect.any(Number));
    expect(record).toMatchObject({
      ...{ Requests: 1, Errors: 0, Latency: 12.3, InputTokens: 7, tenant: 'acme', level: 'info' },
      'enduser.pseudo.id': '0123',
      ...{ 'gen_ai.operation.name': 'chat', 'gen_ai.request.model': 'llama', 'gen_ai.usage.input_tokens': 7 },
    });
  });

  it('tells of a look-up by meaning what came of it, and counts it apart from equal requests', () => {
    const semantic = { outcome: 'hit' as const, durationMs: 4.56, similarity: 0.97, embeddingTokens: 4 };
    const hit = line({ cache: 'semantic', semantic });
    expect(hit).toMatchObject({
      ...{ CacheHits: 0, SemanticHits: 1, SemanticFailures: 0, SemanticLatency: 4.6 },
      ...{ cache: 'semantic', 'semantic.similarity': 0.97, 'semantic.embedding_tokens': 4 },
    });
    const failed = line({ cache: 'miss', semantic: { outcome: 'late', durationMs: 300, reason: 'why' } });
    expect(failed).toMatchObject({ SemanticHits: 0, SemanticFailures: 1, 'semantic.reason': 'why' });
    for (const each of [hit, failed]) {
      for (const { Name } of each._aws.CloudWatchMetrics[0]!.Metrics) expect(each[Name]).toEqual(expect.any(Number));
    }
    expect(line({ cache: 'miss' })).not.toHaveProperty('SemanticHits');
  });

  it('counts errors, refusals, fallbacks, second calls and a lost store, and holds a fault’s stack', () => {
    expect(line({ status: 503, errorCode: 'backend_unavailable', fallback: 'timeout', storeLost: true })).toMatchObject(
      {
        ...{ Errors: 1, Fallbacks: 1, StoreLost: 1, level: 'warn', 'error.type': 'backend_unavailable' },
      },
    );
    expect(line({ hedged: true })).toMatchObject({ Hedges: 1 });
    expect(line({ hedged: false })).not.toHaveProperty('Hedges');
    expect(line({ status: 429, refusedBy: 'tokens' })).toMatchObject({ RateLimited: 1, Errors: 0 });
    const fault = line({ status: 500, fault: { message: 'oh', stack: 'at x' } });
    expect(fault).toMatchObject({ level: 'error', 'exception.stacktrace': 'at x' });
    expect(fault._aws.CloudWatchMetrics[0]!.Dimensions).toEqual([['Service']]);
  });
});

describe('the line of a refusal', () => {
  it('counts a caller that was turned away, and tells nothing of it', () => {
    const text = refusalLine(1000, { namespace: 'N', service: 's' });
    expect(JSON.parse(text)).toEqual({
      _aws: {
        Timestamp: 1000,
        CloudWatchMetrics: [
          { Namespace: 'N', Dimensions: [['Service']], Metrics: [{ Name: 'Unauthorized', Unit: 'Count' }] },
        ],
      },
      Service: 's',
      Unauthorized: 1,
      level: 'info',
      message: 'unauthorized',
    });
  });
});
