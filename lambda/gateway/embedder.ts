import type { ResolvedBackend, ResolvedModel } from '../../lib/policy/defaults';
import { vectorOf, type Vector } from '../caching/vector';
import { type BreakerState, claim, CLOSED, record } from '../circuit-breaking/breaker';
import type { Outcome } from '../circuit-breaking/outcome-window';
import { BackendFailure, type CallBackend, type CallSignal } from './backend-port';
import { isRecord } from './http-event';
import { BACKEND_PATH } from './target';
import { reportedUsage } from './usage';

/** Larger answers are no vector of any model: 32,768 numbers of 20 digits. */
const MOST_BYTES = 1024 * 1024;

/** What an embedder needs from outside. */
export interface EmbedderPorts {
  readonly callBackend: CallBackend;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** A new id: letters, digits and hyphens. */
  readonly newId: () => string;
}

/** A text's vector, with the tokens that it took, where the backend said so. */
export interface Embedded {
  readonly vector: Vector;
  readonly tokens?: number;
}

/** For which request a text is embedded. */
export interface EmbedContext {
  readonly requestId: string;
  /** Aborted when the vector comes too late. */
  readonly signal: CallSignal;
  /** Aborted when the client is gone, of which a backend is not to blame. */
  readonly hungUp: CallSignal;
  readonly timeoutMs: number;
}

/** No vector was to be had. */
export class NoVector extends Error {}

/**
 * Asks the embedding model for the sake of a look-up: the first backend of its chain whose breaker lets it, then the next,
 * each once, since a request waits.
 *
 * These calls are judged apart from the backend's other calls, by the same rules, in each function instance: what is too
 * late for a look-up is in time for others. A backend that cannot keep the look-up's time is soon not asked any more, and
 * costs requests no more time, until its breaker lets probes through.
 */
export class Embedder {
  /** Tells one space of vectors from another: the model's name, and what each backend of it serves. */
  public readonly space: string;
  private readonly breakers = new Map<string, BreakerState>();

  constructor(
    private readonly model: ResolvedModel,
    private readonly chain: readonly ResolvedBackend[],
    private readonly ports: EmbedderPorts,
  ) {
    this.space = JSON.stringify([model.name, ...chain.map(({ modelName }) => modelName ?? model.name)]);
  }

  /**
   * Asks for a text's vector.
   *
   * @throws NoVector where no backend gives one, or the text is refused
   */
  public async embed(text: string, context: EmbedContext): Promise<Embedded> {
    let reason = 'no breaker of its backends lets a call through';
    for (const backend of this.chain) {
      const id = this.ports.newId();
      const probe = { id, leaseMs: context.timeoutMs };
      const { state, claim: answer } = claim(this.stateOf(backend), backend.breaker, probe, this.ports.now());
      this.breakers.set(backend.name, state);
      if (answer !== 'closed' && answer !== 'permit') continue;
      let outcome: Outcome = 'failure';
      try {
        const result = await this.ask(backend, text, context);
        outcome = result instanceof Refused ? 'ignored' : 'success';
        if (result instanceof Refused) throw new NoVector(`${backend.name} refuses the text (${result.status})`);
        return result;
      } catch (error) {
        if (!(error instanceof BackendFailure)) throw error;
        if (error.kind === 'abandoned' && context.hungUp.aborted) outcome = 'ignored';
        reason = `${backend.name}: ${error.message}`;
      } finally {
        const after = record(this.stateOf(backend), backend.breaker, { id, outcome }, this.ports.now());
        this.breakers.set(backend.name, after);
      }
      if (context.signal.aborted) break;
    }
    throw new NoVector(reason);
  }

  private stateOf({ name }: ResolvedBackend): BreakerState {
    return this.breakers.get(name) ?? CLOSED;
  }

  private async ask(
    backend: ResolvedBackend,
    text: string,
    { requestId, signal, timeoutMs }: EmbedContext,
  ): Promise<Embedded | Refused> {
    const { status, body } = await this.ports.callBackend({
      backend,
      path: backend.path ?? BACKEND_PATH.embeddings,
      // Plain numbers are what every server knows.
      body: JSON.stringify({ model: backend.modelName ?? this.model.name, input: text, encoding_format: 'float' }),
      headers: { 'content-type': 'application/json', accept: 'application/json', 'x-request-id': requestId },
      firstByteMs: Math.min(timeoutMs, backend.timeouts.totalMs),
      signal,
    });
    const chunks: Buffer[] = [];
    let bytes = 0;
    for await (const chunk of body) {
      bytes += chunk.length;
      if (bytes > MOST_BYTES) throw new BackendFailure('broken', `the answer has more than ${MOST_BYTES} bytes`);
      chunks.push(chunk);
    }
    // The longest texts may be too long for the model; that is no fault of the backend's.
    if (status === 400 || status === 413 || status === 422) return new Refused(status);
    if (status !== 200) throw new BackendFailure('broken', `status ${status}`);
    return embeddedIn(Buffer.concat(chunks).toString('utf8'));
  }
}

/** The backend finds fault with the text. */
class Refused {
  constructor(public readonly status: number) {}
}

function embeddedIn(text: string): Embedded {
  let answer: unknown;
  try {
    answer = JSON.parse(text);
  } catch {
    answer = undefined;
  }
  const data = isRecord(answer) && Array.isArray(answer.data) ? (answer.data as unknown[]) : [];
  const vector = isRecord(data[0]) ? vectorOf(data[0].embedding) : undefined;
  if (!vector) throw new BackendFailure('broken', 'the answer holds no vector');
  const tokens = reportedUsage(answer)?.inputTokens;
  return { vector, ...(tokens !== undefined && { tokens }) };
}
