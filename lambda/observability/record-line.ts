import type { RequestRecord } from './request-record';

/** Under which names the metrics are found. */
export interface MetricsNames {
  readonly namespace: string;
  readonly service: string;
}

const UNITS = {
  Requests: 'Count',
  Errors: 'Count',
  Latency: 'Milliseconds',
  TimeToFirstToken: 'Milliseconds',
  InputTokens: 'Count',
  OutputTokens: 'Count',
  CacheHits: 'Count',
  Fallbacks: 'Count',
  RateLimited: 'Count',
  StoreLost: 'Count',
} as const;

type Metrics = Partial<Record<keyof typeof UNITS, number>>;

/**
 * One line of JSON that is both: a structured log line with OpenTelemetry's names for generative AI, and, through its
 * `_aws` block, CloudWatch's metrics (the embedded metric format). One line, since every line is paid for.
 *
 * The tenant is a property and no dimension: each of its values would be a set of metrics of its own.
 */
export function recordLine(record: RequestRecord, names: MetricsNames): string {
  const metrics = metricsOf(record);
  return JSON.stringify({
    _aws: {
      Timestamp: record.startedAt,
      CloudWatchMetrics: [
        {
          Namespace: names.namespace,
          Dimensions: record.model === undefined ? [['Service']] : [['Service'], ['Service', 'Model']],
          Metrics: Object.keys(metrics).map((name) => ({ Name: name, Unit: UNITS[name as keyof Metrics] })),
        },
      ],
    },
    Service: names.service,
    Model: record.model,
    ...metrics,
    ...attributesOf(record),
  });
}

function metricsOf(record: RequestRecord): Metrics {
  return {
    Requests: 1,
    Errors: flag(record.status >= 500),
    Latency: round(record.durationMs),
    CacheHits: flag(record.cache === 'hit'),
    Fallbacks: flag(record.fallback !== undefined),
    RateLimited: flag(record.refusedBy !== undefined),
    StoreLost: flag(record.storeLost),
    ...(record.timeToFirstTokenMs !== undefined && { TimeToFirstToken: round(record.timeToFirstTokenMs) }),
    ...(record.inputTokens !== undefined && { InputTokens: record.inputTokens }),
    ...(record.outputTokens !== undefined && { OutputTokens: record.outputTokens }),
  };
}

/** Names from OpenTelemetry's semantic conventions (GenAI, HTTP, error) where they have one. */
function attributesOf(record: RequestRecord): Record<string, unknown> {
  return {
    level: record.fault ? 'error' : record.status >= 500 ? 'warn' : 'info',
    message: 'request',
    request_id: record.requestId,
    'http.response.status_code': record.status,
    'gen_ai.operation.name': record.endpoint && OPERATION[record.endpoint],
    'gen_ai.request.model': record.model,
    'gen_ai.usage.input_tokens': record.inputTokens,
    'gen_ai.usage.output_tokens': record.outputTokens,
    'error.type': record.fault ? 'internal_error' : record.errorCode,
    tenant: record.tenant,
    plan: record.plan,
    stream: record.stream,
    backend: record.backend,
    cache: record.cache,
    fallback: record.fallback,
    refused_by: record.refusedBy,
    retries: record.retries,
    hung_up: record.hungUp || undefined,
    breaker_transitions: record.transitions?.length ? record.transitions : undefined,
    'exception.message': record.fault?.message,
    'exception.stacktrace': record.fault?.stack,
  };
}

const OPERATION: Readonly<Record<string, string>> = {
  chat: 'chat',
  completions: 'text_completion',
  embeddings: 'embeddings',
};

function flag(value: boolean): number {
  return value ? 1 : 0;
}

function round(ms: number): number {
  return Math.round(ms * 10) / 10;
}
