import type { ResolvedBackend, ResolvedPlan } from '../../lib/policy/defaults';
import { passage } from '../circuit-breaking/breaker';
import { type CacheUse, MAX_ENTRY_BYTES, type StoredEntry } from '../caching/entry';
import { degradedAnswer } from '../fault-tolerance/degraded-answer';
import type { RetryBudget } from '../fault-tolerance/retry-budget';
import { type FinishedCall, type Route, route } from '../fault-tolerance/route';
import type { RequestRecord } from '../observability/request-record';
import { rateLimitHeaders } from '../rate-limiting/headers';
import { type Admitted, admitSomewhere, limitError } from './admission';
import { ApiError } from './api-error';
import { type Answer, attempt, type StreamedAnswer, type WholeAnswer } from './attempt';
import type { ClientConnection } from './client-connection';
import { closeStream, deliverStream } from './deliver-stream';
import type { InferenceRequest } from './inference-request';
import type { Idempotency } from './idempotency';
import type { GatewayPorts } from './ports';
import type { AdmitRequest } from './request-store';
import { Reservation } from './reservation';

const JSON_TYPE = 'application/json';
const STREAM_TYPE = 'text/event-stream';

/** The end of the work after the last time limit, before a slot counts as forgotten. */
const LEASE_SLACK_MS = 5000;

/** Lambda's own limit: no slot of a live request is older. */
const LONGEST_LEASE_MS = 900_000;

/** One request that is to be computed, or answered from the cache. */
export interface Computation {
  readonly requestId: string;
  readonly request: InferenceRequest;
  readonly tenant: string;
  readonly plan: ResolvedPlan;
  readonly chain: readonly ResolvedBackend[];
  readonly cache: CacheUse | undefined;
  readonly idempotency: Idempotency | undefined;
  readonly client: ClientConnection;
  /** Filled in on the way. */
  readonly record: RequestRecord;
  /** Headers of every answer; admission and routing add theirs. */
  readonly headers: Record<string, string>;
}

/** The gateway's ports, and each backend's budget for retries. */
export type ComputePorts = GatewayPorts & { readonly budget: (backend: ResolvedBackend) => RetryBudget };

/**
 * Steps two to six: admit, route, stream, settle. Settling begins when the answer is known to be whole and is not
 * awaited before the last bytes leave: the client waits for none of it, and its next request finds it done. The function
 * returns only after it, since Lambda freezes a function that has returned.
 *
 * @throws ApiError for what the client is told as an error
 */
export async function compute(computation: Computation, ports: ComputePorts): Promise<void> {
  const { request, record, headers, cache, idempotency, plan, chain } = computation;
  const asked: AdmitRequest = {
    id: ports.newId(),
    tenant: computation.tenant,
    plan,
    tokens: request.inputTokens + request.outputTokens,
    leaseMs: leaseMs(chain),
    ...(cache && { cache }),
    ...(idempotency && { idempotency }),
    backends: chain.map(({ name }) => name),
  };
  const admitted = await admitSomewhere(asked, ports);
  const { admission } = admitted;
  record.storeLost = admitted.store === ports.localStore;
  record.cache = cache && cache.freshMs > 0 ? 'miss' : 'bypass';
  Object.assign(headers, rateLimitHeaders(admission.limits, admission.now), { 'x-cache': record.cache });

  if (admission.verdict === 'limited') {
    record.refusedBy = admission.refusedBy ?? 'requests';
    throw limitError(plan, admission);
  }
  if (admission.verdict === 'uncached') throw ApiError.notStored();
  if (admission.verdict === 'conflict') throw ApiError.keyReused();
  if (admission.verdict === 'running') throw ApiError.keyInUse();
  if (admission.entry) {
    if (idempotency) headers['idempotent-replayed'] = 'true';
    await sendStored(admission.entry, 'hit', computation);
    return;
  }

  const reservation = new Reservation(admitted.store, asked);
  try {
    await answer(computation, admitted, reservation, asked, ports);
  } finally {
    // Whatever went wrong, the slot is freed and what was not used is given back; after a settlement this adds nothing.
    record.transitions = await reservation.settle({ tokens: 0, calls: [] }).catch(() => {
      record.storeLost = true;
      return [];
    });
  }
}

async function answer(
  computation: Computation,
  admitted: Admitted,
  reservation: Reservation,
  asked: AdmitRequest,
  ports: ComputePorts,
): Promise<void> {
  const { request, record, headers, client } = computation;
  const routed = await findAnswer(computation, admitted, asked, ports);
  const { end, fallback } = routed;
  record.retries = routed.retries;
  if (fallback) {
    record.fallback = fallback;
    headers['x-fallback'] = fallback;
  }
  if (end.kind === 'abandoned') {
    record.hungUp = true;
    record.status = 499;
    // What the backend did before it was stopped is unknown, so what was reserved is charged.
    void settleQuietly(reservation, { tokens: asked.tokens, calls: routed.finished });
    return;
  }
  if (end.kind === 'exhausted') {
    void settleQuietly(reservation, { tokens: 0, calls: routed.finished });
    await sendFallback(computation, admitted, end.reason, ports);
    return;
  }
  record.backend = end.backend.name;
  headers['x-served-by'] = end.backend.name;
  if (end.kind === 'refused') {
    void settleQuietly(reservation, { tokens: 0, calls: routed.finished });
    throw end.refusal;
  }
  const call = { backend: end.backend, probe: end.probe };
  const settle = (result: Settled) => {
    record.inputTokens = result.usage.inputTokens;
    record.outputTokens = result.usage.outputTokens;
    const tokens = result.usage.inputTokens + result.usage.outputTokens;
    const calls = [...routed.finished, { outcome: result.outcome, ...call }];
    const storable = result.text !== undefined && Buffer.byteLength(result.text) <= MAX_ENTRY_BYTES;
    const contentType = request.stream ? STREAM_TYPE : JSON_TYPE;
    const entry = storable && { contentType, servedBy: end.backend.name, body: result.text ?? '' };
    void settleQuietly(reservation, { tokens, calls, ...(entry && { entry }) });
  };
  if (end.answer.kind === 'whole') await sendWhole(end.answer, computation, settle);
  else await sendStream(end.answer, computation, settle, ports);
  record.hungUp = client.hungUp.aborted;
}

interface Settled {
  readonly usage: WholeAnswer['usage'];
  readonly outcome: FinishedCall['outcome'];
  readonly text?: string;
}

/** Starts to settle; its failure is seen where it is awaited. */
async function settleQuietly(reservation: Reservation, result: Parameters<Reservation['settle']>[0]): Promise<void> {
  await reservation.settle(result).catch(() => undefined);
}

function findAnswer(
  { request, requestId, chain, client }: Computation,
  { admission, store }: Admitted,
  asked: AdmitRequest,
  ports: ComputePorts,
): Promise<Route<Answer, ApiError>> {
  const probe = { id: asked.id, leaseMs: asked.leaseMs };
  return route(chain, {
    permission: async (backend) => {
      const way = passage(admission.breakers[backend.name] ?? { status: 'closed', openUntil: 0 }, admission.now);
      if (way === 'free') return 'closed';
      if (way === 'blocked') return 'refused';
      return store.claim(backend, probe).catch(() => ports.localStore.claim(backend, probe));
    },
    attempt: (backend) => attempt(backend, request, { call: ports.callBackend, requestId, signal: client.hungUp }),
    budget: ports.budget,
    pause: ports.pause,
    random: ports.random,
  });
}

async function sendWhole(
  answer: WholeAnswer,
  { client, headers, record }: Computation,
  settle: (result: Settled) => void,
): Promise<void> {
  record.timeToFirstTokenMs = answer.firstByteMs;
  let sent: Promise<void> | undefined;
  try {
    client.start(200, { 'content-type': JSON_TYPE, ...headers });
    sent = client.end(answer.body);
  } finally {
    // The answer is on its way, and what it used is charged even where it is not.
    settle({ usage: answer.usage, outcome: answer.outcome, text: answer.body });
  }
  await sent;
}

async function sendStream(
  answer: StreamedAnswer,
  { client, headers, record, request }: Computation,
  settle: (result: Settled) => void,
  { pause }: ComputePorts,
): Promise<void> {
  record.timeToFirstTokenMs = answer.firstByteMs;
  client.start(200, { 'content-type': STREAM_TYPE, ...headers });
  const { end, last } = await deliverStream(answer, client);
  const usage = answer.transcript.usage(request.inputTokens);
  const text = end === 'complete' ? answer.transcript.text() : undefined;
  const outcome = { complete: answer.outcome, broken: 'failure', abandoned: 'ignored' } as const;
  settle({ usage, outcome: outcome[end], ...(text !== undefined && { text }) });
  if (end === 'broken') record.errorCode = 'stream_broken';
  await client.end(last);
  await closeStream(answer, pause);
}

/** When no backend answers: an answer past its time, else the declared one, else an error. */
async function sendFallback(
  computation: Computation,
  { admission, store }: Admitted,
  reason: string,
  { now, newId }: ComputePorts,
): Promise<void> {
  const { cache, client, headers, record, request } = computation;
  if (admission.stale && cache) {
    const entry = await store.readStale(cache.key, admission.now).catch(() => undefined);
    if (entry) {
      await sendStored(entry, 'stale', computation);
      return;
    }
  }
  const { degradedAnswer: text, name: model } = request.model;
  if (text !== undefined && request.endpoint !== 'embeddings') {
    const degraded = { endpoint: request.endpoint, model, stream: request.stream, id: newId(), now: now() };
    const { contentType, body } = degradedAnswer(text, degraded);
    record.fallback = 'degraded';
    client.start(200, { ...headers, 'x-fallback': 'degraded', 'content-type': contentType });
    await client.end(body);
    return;
  }
  if (reason === 'timeout') throw ApiError.timedOut(model);
  throw ApiError.unavailable(`No backend of the model \`${model}\` can answer at the moment.`, 'backend_unavailable');
}

async function sendStored(
  entry: StoredEntry,
  state: 'hit' | 'stale',
  { client, headers, record }: Computation,
): Promise<void> {
  record.cache = state;
  record.backend = entry.servedBy;
  client.start(200, {
    ...headers,
    'content-type': entry.contentType,
    'x-cache': state,
    'x-served-by': entry.servedBy,
    age: String(Math.floor(entry.ageMs / 1000)),
  });
  await client.end(entry.body);
}

function leaseMs(chain: readonly ResolvedBackend[]): number {
  const longest = chain.reduce((sum, { timeouts }) => sum + timeouts.totalMs, 0);
  return Math.min(longest + LEASE_SLACK_MS, LONGEST_LEASE_MS);
}
