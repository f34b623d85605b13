import type { RequestRecord } from './request-record';

/** Under which names the metrics are found. */
export interface MetricsNames {
  readonly namespace: string;
  readonly service: string;
}

/** Metrics that every line holds. */
const METRICS = [
  { Name: 'Requests', Unit: 'Count' },
  { Name: 'Errors', Unit: 'Count' },
  { Name: 'Latency', Unit: 'Milliseconds' },
  { Name: 'CacheHits', Unit: 'Count' },
  { Name: 'Fallbacks', Unit: 'Count' },
  { Name: 'RateLimited', Unit: 'Count' },
  { Name: 'StoreLost', Unit: 'Count' },
];
/** Metrics of requests that were looked up by meaning. */
const SEMANTIC = [
  { Name: 'SemanticHits', Unit: 'Count' },
  { Name: 'SemanticFailures', Unit: 'Count' },
  { Name: 'SemanticLatency', Unit: 'Milliseconds' },
];
const TIME_TO_FIRST_TOKEN = { Name: 'TimeToFirstToken', Unit: 'Milliseconds' };
const INPUT_TOKENS = { Name: 'InputTokens', Unit: 'Count' };
const HEDGES = { Name: 'Hedges', Unit: 'Count' };
const COST = { Name: 'Cost', Unit: 'None' };
const OUTPUT_TOKENS = { Name: 'OutputTokens', Unit: 'Count' };

/**
 * One line of JSON that is both: a structured log line with OpenTelemetry's names for generative AI, HTTP and errors,
 * where they have one, and, through its `_aws` block, CloudWatch's metrics (the embedded metric format). One line, since
 * every line is paid for. JSON leaves out what is undefined.
 *
 * The tenant is a property and no dimension: each of its values would be a set of metrics of its own.
 */
export function recordLine(record: RequestRecord, names: MetricsNames): string {
  const { model, timeToFirstTokenMs, inputTokens, outputTokens, hedged, fault, semantic } = record;
  return JSON.stringify({
    _aws: {
      Timestamp: record.startedAt,
      CloudWatchMetrics: [
        {
          Namespace: names.namespace,
          Dimensions: model === undefined ? [['Service']] : [['Service'], ['Service', 'Model']],
          Metrics: metricsOf(record),
        },
      ],
    },
    Service: names.service,
    Model: model,
    Requests: 1,
    Errors: flag(record.status >= 500),
    Latency: round(record.durationMs),
    CacheHits: flag(record.cache === 'hit'),
    SemanticHits: semantic && flag(semantic.outcome === 'hit'),
    SemanticFailures: semantic && flag(!['hit', 'miss'].includes(semantic.outcome)),
    SemanticLatency: semantic && round(semantic.durationMs),
    Fallbacks: flag(record.fallback !== undefined),
    RateLimited: flag(record.refusedBy !== undefined),
    StoreLost: flag(record.storeLost),
    TimeToFirstToken: timeToFirstTokenMs === undefined ? undefined : round(timeToFirstTokenMs),
    InputTokens: inputTokens,
    OutputTokens: outputTokens,
    Cost: record.cost,
    Hedges: hedged ? 1 : undefined,
    level: fault ? 'error' : record.status >= 500 ? 'warn' : 'info',
    message: 'request',
    request_id: record.requestId,
    'http.response.status_code': record.status,
    'gen_ai.operation.name': record.endpoint && OPERATION[record.endpoint],
    'gen_ai.request.model': model,
    'gen_ai.usage.input_tokens': inputTokens,
    'gen_ai.usage.output_tokens': outputTokens,
    'error.type': fault ? 'internal_error' : record.errorCode,
    tenant: record.tenant,
    plan: record.plan,
    'enduser.pseudo.id': record.principal,
    stream: record.stream,
    priority: record.priority === 'batch' ? record.priority : undefined,
    backend: record.backend,
    cache: record.cache,
    'semantic.outcome': semantic?.outcome,
    'semantic.similarity': semantic?.similarity,
    'semantic.embedding_tokens': semantic?.embeddingTokens,
    'semantic.reason': semantic?.reason,
    fallback: record.fallback,
    refused_by: record.refusedBy,
    retries: record.retries,
    waited: record.waited,
    revalidation: record.revalidation,
    hung_up: record.hungUp || undefined,
    breaker_transitions: record.transitions?.length ? record.transitions : undefined,
    'exception.message': fault?.message,
    'exception.stacktrace': fault?.stack,
  });
}

/** The metrics that a line declares are those that it holds. */
function metricsOf(record: RequestRecord): typeof METRICS {
  const { timeToFirstTokenMs, inputTokens, outputTokens, cost, hedged, semantic } = record;
  const metrics = semantic ? [...METRICS, ...SEMANTIC] : [...METRICS];
  if (timeToFirstTokenMs !== undefined) metrics.push(TIME_TO_FIRST_TOKEN);
  if (inputTokens !== undefined) metrics.push(INPUT_TOKENS);
  if (outputTokens !== undefined) metrics.push(OUTPUT_TOKENS);
  if (cost !== undefined) metrics.push(COST);
  if (hedged) metrics.push(HEDGES);
  return metrics;
}

const OPERATION: Readonly<Record<string, string>> = {
  chat: 'chat',
  completions: 'text_completion',
  embeddings: 'embeddings',
  service: 'service',
};

function flag(value: boolean): number {
  return value ? 1 : 0;
}

function round(ms: number): number {
  return Math.round(ms * 10) / 10;
}
