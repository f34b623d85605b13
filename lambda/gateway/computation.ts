import type { ResolvedBackend, ResolvedPlan } from '../../lib/policy/defaults';
import { type CacheUse, mostEntryBytes, type StoredEntry } from '../caching/entry';
import { degradedAnswer } from '../fault-tolerance/degraded-answer';
import type { FirstByteTimes } from '../fault-tolerance/first-byte-times';
import type { RetryBudget } from '../fault-tolerance/retry-budget';
import { type FinishedCall, type Route, route } from '../fault-tolerance/route';
import type { ChainLink } from '../load-balancing/chain';
import type { RequestRecord } from '../observability/request-record';
import { moneyOf } from '../rate-limiting/charges';
import { rateLimitHeaders } from '../rate-limiting/headers';
import { type Admitted, admitSomewhere, limitError } from './admission';
import { ApiError } from './api-error';
import { type Answer, attempt, type StreamedAnswer, type WholeAnswer } from './attempt';
import { type ClientConnection, nobody } from './client-connection';
import { closeStream, deliverStream } from './deliver-stream';
import { hedgingOf, noteFirstByte } from './hedging';
import type { InferenceRequest } from './inference-request';
import type { Idempotency } from './idempotency';
import type { GatewayPorts } from './ports';
import type { Priority } from './priority';
import type { AdmitRequest, Admission, Tokens } from './request-store';
import { Reservation } from './reservation';
import { awaitFlight } from './single-flight';
import { type SemanticSettings, SemanticStep } from './semantic-step';

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
  readonly chain: readonly ChainLink[];
  readonly cache: CacheUse | undefined;
  readonly idempotency: Idempotency | undefined;
  readonly priority: Priority;
  /** Whether the client was refused before and asks again, by its own word. */
  readonly asksAgain: boolean;
  readonly client: ClientConnection;
  /** Filled in on the way. */
  readonly record: RequestRecord;
  /** Headers of every answer; admission and routing add theirs. */
  readonly headers: Record<string, string>;
}

/** An admission with what was asked. */
type AskedAdmission = Admitted & { readonly asked: AdmitRequest };

const NOTHING: Tokens = { inputTokens: 0, outputTokens: 0 };

/** What the gateway keeps from one request to the next, beside its ports. */
export type ComputePorts = GatewayPorts & {
  /** Each backend's budget for retries. */
  readonly budget: (backend: ResolvedBackend) => RetryBudget;
  /** How long first bytes have taken. */
  readonly firstBytes: FirstByteTimes;
  /** How answers are looked up by meaning; undefined where they are not. */
  readonly semanticSettings: SemanticSettings | undefined;
};

/**
 * Steps two to six: admit, look up by meaning, route, stream, settle. Settling begins when the answer is known to be whole and is not
 * awaited before the last bytes leave: the client waits for none of it, and its next request finds it done. The function
 * returns only after it, since Lambda freezes a function that has returned.
 *
 * @throws ApiError for what the client is told as an error
 */
export async function compute(computation: Computation, ports: ComputePorts): Promise<void> {
  const { record, cache, idempotency } = computation;
  const first = askedOf(computation, ports);
  record.cache = cache && cache.freshMs > 0 ? 'miss' : 'bypass';
  const admitted = await admitOrWait(first, computation, ports);
  if (!admitted) return;
  const { admission, asked } = admitted;
  if (admission.verdict === 'hit') {
    if (idempotency) computation.headers['idempotent-replayed'] = 'true';
    await sendStored(admission.entry!, admission.entryIsStale ? 'stale' : 'hit', computation);
    return;
  }

  const reservation = new Reservation(admitted.store, asked, admission.loadedAt);
  const isRenewed = admission.verdict === 'revalidate';
  const semantic = isRenewed ? undefined : SemanticStep.of(computation, ports.semanticSettings, admitted, ports);
  try {
    const similar = await semantic?.find();
    if (similar) {
      void settleQuietly(reservation, { used: NOTHING, calls: [] });
      await sendStored(similar.entry, 'semantic', computation);
    } else if (isRenewed) await revalidate(computation, admitted, reservation, ports);
    else await answer(computation, admitted, reservation, ports);
  } finally {
    // Whatever went wrong, the slot is freed and what was not used is given back; after a settlement this adds nothing.
    const settled = await reservation.settle({ used: NOTHING, calls: [] }).catch(() => {
      record.storeLost = true;
      return [];
    });
    record.transitions = [...(record.transitions ?? []), ...settled];
    await semantic?.remember(reservation.hasEntry && !record.storeLost);
  }
}

function askedOf(computation: Computation, { newId, policy }: ComputePorts): AdmitRequest {
  const { request, tenant, plan, chain, cache, idempotency, priority, asksAgain } = computation;
  const { model, inputTokens, outputTokens } = request;
  return {
    ...{ id: newId(), tenant, plan, model, inputTokens, outputTokens, chain },
    leaseMs: leaseMs(chain),
    ...(priority === 'batch' && { ceiling: policy.batch.ceiling }),
    ...(asksAgain && { asksAgain }),
    ...(cache && { cache }),
    ...(idempotency && { idempotency }),
  };
}

/**
 * Admits a request, if need be after it has waited for an identical one. Settles with nothing where the client has gone
 * meanwhile.
 *
 * @throws ApiError where it is not admitted
 */
async function admitOrWait(
  first: AdmitRequest,
  computation: Computation,
  ports: ComputePorts,
): Promise<AskedAdmission | undefined> {
  const { record, client } = computation;
  const admitted = await admitOnce(first, computation, ports);
  if (admitted.admission.verdict !== 'wait') return { ...admitted, asked: first };
  record.waited = true;
  let again: Admitted | undefined;
  try {
    await awaitFlight(first, admitted.store, { ...ports, hungUp: client.hungUp });
    if (client.hungUp.aborted) {
      record.hungUp = true;
      record.status = 499;
      return undefined;
    }
    const asked = { ...first, hasWaited: true };
    again = await admitOnce(asked, computation, ports);
    return { ...again, asked };
  } finally {
    // An admission by the store that it waited at has freed its slot.
    if (again?.store !== admitted.store) await admitted.store.leave(first).catch(() => undefined);
  }
}

/** @throws ApiError where the request is not admitted */
async function admitOnce(
  asked: AdmitRequest,
  { record, headers, plan }: Computation,
  ports: ComputePorts,
): Promise<Admitted> {
  const admitted = await admitSomewhere(asked, ports);
  const { admission } = admitted;
  record.storeLost ||= admitted.store === ports.localStore;
  Object.assign(headers, rateLimitHeaders(admission.limits, admission.now), { 'x-cache': record.cache });
  if (admission.verdict === 'limited') {
    record.refusedBy = admission.refusedBy?.limit ?? 'requests';
    record.retryAfterMs = admission.retryAfterMs;
    throw limitError(plan, admission);
  }
  if (admission.verdict === 'uncached') throw ApiError.notStored();
  if (admission.verdict === 'conflict') throw ApiError.keyReused();
  if (admission.verdict === 'running') throw ApiError.keyInUse();
  return admitted;
}

/**
 * Answers with the stored answer at once and computes it anew behind it. What goes wrong there is for the record alone:
 * the client has its answer.
 */
async function revalidate(
  computation: Computation,
  admitted: AskedAdmission,
  reservation: Reservation,
  ports: ComputePorts,
): Promise<void> {
  const { record } = computation;
  await sendStored(admitted.admission.entry!, 'stale', computation);
  const told = { ...record };
  try {
    await answer({ ...computation, client: nobody(), headers: {} }, admitted, reservation, ports);
    record.revalidation = 'stored';
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    record.revalidation = 'failed';
  }
  // Of the answer that the client got.
  const { status, cache, backend, fallback, timeToFirstTokenMs } = told;
  Object.assign(record, { status, cache, backend, fallback, timeToFirstTokenMs });
}

async function answer(
  computation: Computation,
  admitted: AskedAdmission,
  reservation: Reservation,
  ports: ComputePorts,
): Promise<void> {
  const { record, headers, client } = computation;
  const routed = await findAnswer(computation, admitted, ports);
  const { end, fallback } = routed;
  record.retries = routed.retries;
  record.hedged = routed.hedged;
  if (fallback) {
    record.fallback = fallback;
    headers['x-fallback'] = fallback;
  }
  if (end.kind === 'abandoned') {
    record.hungUp = true;
    record.status = 499;
    // What the backend did before it was stopped is unknown, so what was reserved is charged.
    void settleQuietly(reservation, { used: computation.request, calls: routed.finished });
    return;
  }
  if (end.kind === 'exhausted') {
    void settleQuietly(reservation, { used: NOTHING, calls: routed.finished });
    record.failedCalls = routed.finished.filter(({ outcome }) => outcome === 'failure').length;
    record.retryAfterMs = reopensAfterMs(admitted.admission);
    await sendFallback(computation, admitted, end.reason, ports);
    return;
  }
  record.backend = end.backend.name;
  headers['x-served-by'] = end.backend.name;
  if (end.kind === 'refused') {
    void settleQuietly(reservation, { used: NOTHING, calls: routed.finished });
    throw end.refusal;
  }
  const call = { backend: end.backend, probe: end.probe };
  const answered = end.answer;
  const settle = (result: Settled) => {
    record.inputTokens = result.usage.inputTokens;
    record.outputTokens = result.usage.outputTokens;
    const { model } = computation.request;
    if (model.price) record.cost = moneyOf({ model, ...result.usage });
    const calls = [...routed.finished, { outcome: result.outcome, ...call }];
    const isKnown = result.text !== undefined && answered.mayBeStored;
    const storable = isKnown && Buffer.byteLength(result.text) <= mostEntryBytes(ports.policy.cache);
    const contentType = answered.kind === 'stream' ? STREAM_TYPE : JSON_TYPE;
    const entry = storable && { contentType, servedBy: end.backend.name, body: result.text ?? '' };
    void settleQuietly(reservation, { used: result.usage, calls, ...(entry && { entry }) });
  };
  if (answered.kind === 'whole') await sendWhole(answered, computation, settle);
  else await sendStream(answered, computation, settle, ports);
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
  { request, requestId, client, record, priority }: Computation,
  { admission, store, asked }: AskedAdmission,
  ports: ComputePorts,
): Promise<Route<Answer, ApiError>> {
  const states = new Map(admission.backends.map((state) => [state.backend, state]));
  const { firstBytes, timer } = ports;
  const isFree = (backend: ResolvedBackend) => states.get(backend)?.passage === 'free';
  // A second call buys time with work, and background work has time.
  const hedging = priority === 'batch' ? undefined : hedgingOf(request, { firstBytes, timer, isFree });
  return route([...states.keys()], {
    permission: async (backend) => {
      switch (states.get(backend)!.passage) {
        case 'free':
          return 'closed';
        case 'blocked':
          return 'refused';
        case 'cooling':
        case 'short':
          return 'busy';
        case 'claim': {
          const { claim, transition } = await store
            .claim(backend, asked)
            .catch(() => ports.localStore.claim(backend, asked));
          if (transition) record.transitions = [...(record.transitions ?? []), transition];
          return claim;
        }
      }
    },
    attempt: async (backend, signal) => {
      const { callBackend: call, now } = ports;
      const context = { call, requestId, signal, now, mostEntryBytes: mostEntryBytes(ports.policy.cache) };
      const result = await attempt(backend, request, context);
      noteFirstByte(firstBytes, backend, request, result);
      return result;
    },
    budget: ports.budget,
    pause: ports.pause,
    random: ports.random,
    hungUp: client.hungUp,
    ...(hedging && { hedging }),
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

/** After how long the first backend that may not be called is to be asked again; undefined where that is not known. */
function reopensAfterMs({ backends, now }: Admission): number | undefined {
  const waits = backends.map(({ until }) => until - now).filter((wait) => wait > 0);
  return waits.length > 0 ? Math.min(...waits) : undefined;
}

/** When no backend answers: an answer past its time, else the declared one, else an error, which is all for who can wait. */
async function sendFallback(
  computation: Computation,
  { admission, store }: Admitted,
  reason: string,
  { now, newId }: ComputePorts,
): Promise<void> {
  const { cache, client, headers, record, request, priority } = computation;
  const standsIn = priority === 'interactive';
  if (standsIn && admission.stale && cache) {
    const entry = await store.readStale(cache.key, admission.now).catch(() => undefined);
    if (entry) {
      await sendStored(entry, 'stale', computation);
      return;
    }
  }
  const { degradedAnswer: text, name: model } = request.model;
  const { endpoint } = request;
  if (standsIn && text !== undefined && (endpoint === 'chat' || endpoint === 'completions')) {
    const degraded = { endpoint, model, stream: request.stream, id: newId(), now: now() };
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
  state: 'hit' | 'semantic' | 'stale',
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

function leaseMs(chain: readonly ChainLink[]): number {
  const longest = chain.reduce((sum, { backend }) => sum + backend.timeouts.totalMs, 0);
  return Math.min(longest + LEASE_SLACK_MS, LONGEST_LEASE_MS);
}
