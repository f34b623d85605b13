import type { ResolvedBackend } from '../../lib/policy/defaults';
import type { Outcome } from '../circuit-breaking/outcome-window';
import { parseCacheControl } from '../caching/cache-control';
import { cooldownMs } from '../circuit-breaking/cooldown';
import type { Attempt } from '../fault-tolerance/route';
import { ApiError } from './api-error';
import { type BackendAnswer, BackendFailure, type CallBackend, type CallSignal, UnsuitedBackend } from './backend-port';
import { textOf } from './answer-text';
import { errorOfBackend } from './backend-error';
import type { InferenceRequest } from './inference-request';
import { dataOf, StreamTranscript } from './stream-transcript';
import { BACKEND_PATH } from './target';
import { generatedBytes, reportedUsage, type Usage, usageSeen } from './usage';
import { isRecord } from './http-event';

/** An answer that may go to the client. */
export type Answer = WholeAnswer | StreamedAnswer;

/** An answer that has arrived in full. */
export interface WholeAnswer {
  readonly kind: 'whole';
  readonly body: string;
  readonly usage: Usage;
  readonly firstByteMs: number;
  readonly outcome: Outcome;
  /** Whether the backend lets it be stored: its `cache-control` does not say `no-store`. */
  readonly mayBeStored: boolean;
}

/** A stream whose first event has arrived. */
export interface StreamedAnswer {
  readonly kind: 'stream';
  /** What the client may have already. */
  readonly head: Buffer;
  readonly rest: AsyncIterator<Buffer>;
  /** Gives the rest up. */
  discard(): void;
  readonly transcript: StreamTranscript;
  readonly firstByteMs: number;
  /** Outcome if the stream comes to its end. */
  readonly outcome: Outcome;
  /** Whether the backend lets it be stored: its `cache-control` does not say `no-store`. */
  readonly mayBeStored: boolean;
}

/** Larger answers are not buffered: a function has to hold the text several times over. */
const MAX_WHOLE_BYTES = 32 * 1024 * 1024;

/** What a call needs besides the request. */
export interface AttemptContext {
  readonly call: CallBackend;
  readonly requestId: string;
  /** Aborted when nobody wants the answer any more. */
  readonly signal: CallSignal;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** The largest stream that is kept to be stored, in bytes. */
  readonly mostEntryBytes: number;
}

/** Calls one backend once, and makes sure that an answer is one before the client sees any of it. */
export async function attempt(
  backend: ResolvedBackend,
  request: InferenceRequest,
  context: AttemptContext,
): Promise<Attempt<Answer, ApiError>> {
  // The first byte of a text that is not streamed comes when all of it is written, so only the total limit is fair.
  const isWholeText = !request.stream && (request.endpoint === 'chat' || request.endpoint === 'completions');
  const { firstTokenMs, totalMs } = backend.timeouts;
  try {
    const answer = await context.call({
      backend,
      path: backend.path ?? BACKEND_PATH[request.endpoint],
      body: JSON.stringify(bodyFor(backend, request)),
      // The client's credentials and cookies are for the gateway alone.
      headers: {
        'content-type': 'application/json',
        accept: acceptedBy(request),
        'x-request-id': context.requestId,
      },
      firstByteMs: isWholeText ? totalMs : firstTokenMs,
      signal: context.signal,
    });
    if (answer.status !== 200) return await refusalOf(answer, backend, context.now());
    const slow = !isWholeText && answer.firstByteMs > backend.breaker.slowFirstTokenMs;
    const outcome = slow ? 'slowSuccess' : 'success';
    return streams(answer, request)
      ? await begun(answer, request, outcome, context.mostEntryBytes)
      : await whole(answer, request, outcome);
  } catch (error) {
    if (error instanceof UnsuitedBackend) {
      return { kind: 'unsuited', refusal: ApiError.invalidRequest(error.message, error.param) };
    }
    if (!(error instanceof BackendFailure)) throw error;
    return failed(error);
  }
}

/** A service may answer in a stream where it was asked to, or else whole; a model must do as it was asked. */
function streams({ headers }: BackendAnswer, { endpoint, stream }: InferenceRequest): boolean {
  return stream && (endpoint !== 'service' || isEventStream(headers['content-type']));
}

function letsStore({ headers }: BackendAnswer): boolean {
  return !parseCacheControl(headers['cache-control']).noStore;
}

function isEventStream(contentType: string | undefined): boolean {
  return contentType?.startsWith('text/event-stream') ?? false;
}

function acceptedBy({ endpoint, stream }: InferenceRequest): string {
  if (!stream) return 'application/json';
  return endpoint === 'service' ? 'text/event-stream, application/json' : 'text/event-stream';
}

function bodyFor(backend: ResolvedBackend, request: InferenceRequest): Readonly<Record<string, unknown>> {
  const { endpoint, body, stream } = request;
  const options = isRecord(body.stream_options) ? body.stream_options : {};
  return {
    ...body,
    ...(backend.modelName !== undefined && { model: backend.modelName }),
    // Without its usage, a stream could be charged by estimate only.
    ...(stream && endpoint !== 'service' && { stream_options: { ...options, include_usage: true } }),
  };
}

function failed(failure: BackendFailure): Attempt<Answer, ApiError> {
  if (failure.kind === 'abandoned') return { kind: 'abandoned' };
  const reason = failure.kind === 'timeout' ? 'timeout' : 'backend_error';
  return { kind: 'failed', reason, outcome: 'failure', retriable: true };
}

/** Sorts an answer that is none: the backend's fault, its haste, or the client's fault. */
async function refusalOf(
  answer: BackendAnswer,
  { breaker }: ResolvedBackend,
  now: number,
): Promise<Attempt<Answer, ApiError>> {
  const { status } = answer;
  const text = await textOf(answer, 64 * 1024);
  if (status === 429) {
    const cooldown = cooldownMs(answer.headers, now, breaker.maxCooldownMs);
    const busy = { kind: 'failed', reason: 'backend_busy', outcome: 'ignored', retriable: false } as const;
    return { ...busy, ...(cooldown !== undefined && { cooldownMs: cooldown }) };
  }
  if (status === 408) return { kind: 'failed', reason: 'timeout', outcome: 'failure', retriable: true };
  // The client's key never reaches a backend, so a backend that does not know the caller does not know the gateway.
  const isClientsFault = status >= 400 && status < 500 && status !== 401 && status !== 403;
  if (isClientsFault) return { kind: 'refused', refusal: errorOfBackend(status, text) };
  return { kind: 'failed', reason: 'backend_error', outcome: 'failure', retriable: status >= 500 };
}

async function whole(
  answer: BackendAnswer,
  request: InferenceRequest,
  outcome: Outcome,
): Promise<Attempt<Answer, ApiError>> {
  const body = await textOf(answer, MAX_WHOLE_BYTES);
  let json: unknown;
  try {
    json = JSON.parse(body);
  } catch {
    json = undefined;
  }
  if (request.endpoint === 'service') {
    if (typeof json !== 'object' || json === null) throw new BackendFailure('broken', 'the answer is no JSON');
  } else {
    if (!isRecord(json)) throw new BackendFailure('broken', 'the answer is no JSON object');
    if (isError(json)) throw new BackendFailure('broken', 'the answer with status 200 is an error');
  }
  const usage = reportedUsage(json) ?? usageSeen(request.inputTokens, generatedBytes(json));
  const { firstByteMs } = answer;
  const mayBeStored = letsStore(answer);
  return { kind: 'answered', answer: { kind: 'whole', body, usage, firstByteMs, outcome, mayBeStored } };
}

async function begun(
  answer: BackendAnswer,
  request: InferenceRequest,
  outcome: Outcome,
  mostEntryBytes: number,
): Promise<Attempt<Answer, ApiError>> {
  try {
    if (!isEventStream(answer.headers['content-type'])) {
      throw new BackendFailure('broken', 'the answer is no event stream');
    }
    const rest = answer.body[Symbol.asyncIterator]();
    const isService = request.endpoint === 'service';
    const transcript = new StreamTranscript(request.includeUsage, {
      mostBytes: mostEntryBytes,
      hasTerminalEvent: !isService,
    });
    const head = await firstEvents(rest, transcript, isService ? () => undefined : mustBeAnswer);
    const discard = () => {
      answer.discard();
    };
    const { firstByteMs } = answer;
    const mayBeStored = letsStore(answer);
    return {
      kind: 'answered',
      answer: { kind: 'stream', head, rest, discard, transcript, firstByteMs, outcome, mayBeStored },
    };
  } catch (error) {
    answer.discard();
    throw error;
  }
}

/**
 * Waits for the first event with data, so that a stream that begins with an error, or with what no client could read,
 * can still be replaced. Comments that come before it leave with it.
 */
async function firstEvents(
  rest: AsyncIterator<Buffer>,
  transcript: StreamTranscript,
  check: (event: string) => void,
): Promise<Buffer> {
  let head: Buffer = Buffer.alloc(0);
  for (;;) {
    const next = await rest.next();
    if (next.done) throw new BackendFailure('broken', 'the stream ended before its first event');
    head = Buffer.concat([head, transcript.pass(next.value)]);
    const events = head.toString('utf8').split(/\r?\n\r?\n/);
    const event = events.find((text) => /^data:/m.test(text));
    if (event === undefined) continue;
    check(event);
    return head;
  }
}

function mustBeAnswer(event: string): void {
  const first = dataOf(event);
  if (!isRecord(first)) throw new BackendFailure('broken', 'the stream began with what is no answer');
  if (isError(first)) throw new BackendFailure('broken', 'the stream began with an error');
}

/** Some servers say with status 200 that they failed. */
function isError(answer: Record<string, unknown>): boolean {
  return answer.error != null && answer.choices === undefined && answer.data === undefined;
}
