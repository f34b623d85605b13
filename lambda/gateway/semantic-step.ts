import { createHash } from 'node:crypto';
import type { ResolvedPolicy } from '../../lib/policy/defaults';
import { digestOf, type KeyScope, keyScope, scopePrefix } from '../caching/cache-key';
import { comparableOf } from '../caching/comparable';
import type { SemanticIndex, VectorCache } from '../caching/semantic-index';
import { LookUp, type SimilarAnswer } from '../caching/semantic-lookup';
import type { RequestRecord } from '../observability/request-record';
import type { Admitted } from './admission';
import type { CallSignal } from './backend-port';
import { Embedder, type EmbedderPorts, NoVector } from './embedder';
import { HangUp } from './hang-up';
import type { InferenceRequest } from './inference-request';

/** Where questions and their vectors are kept. */
export interface SemanticPorts {
  readonly index: SemanticIndex;
  readonly vectors: VectorCache;
}

/** The look-up by meaning, as the policy has it. */
export interface SemanticSettings extends SemanticPorts {
  readonly minimumSimilarity: number;
  readonly timeoutMs: number;
  /** How long an answer is fresh. */
  readonly ttlMs: number;
  readonly embedder: Embedder;
}

/**
 * The look-up as the policy has it; undefined where it has none.
 *
 * @throws Error where the policy asks for it and nothing is there to keep questions in
 */
export function semanticSettings(
  { cache, models, backends }: ResolvedPolicy,
  ports: EmbedderPorts & { readonly semantic?: SemanticPorts },
): SemanticSettings | undefined {
  if (!cache?.semantic) return undefined;
  const { embeddingModel, minimumSimilarity, timeoutMs } = cache.semantic;
  const model = models.find(({ name }) => name === embeddingModel);
  if (!model || !ports.semantic) throw new Error('cache.semantic needs an embedding model of the policy and an index');
  const chain = model.backends.flatMap((name) => backends.find((backend) => backend.name === name) ?? []);
  const embedder = new Embedder(model, chain, ports);
  return { ...ports.semantic, minimumSimilarity, timeoutMs, ttlMs: cache.ttlSeconds * 1000, embedder };
}

/** A request that may be answered by meaning. */
interface Asker {
  readonly requestId: string;
  readonly request: InferenceRequest;
  readonly tenant: string;
  readonly cache: { readonly freshMs: number; readonly key: string; readonly retainMs?: number } | undefined;
  readonly idempotency: unknown;
  readonly client: { readonly hungUp: CallSignal };
  readonly record: RequestRecord;
}

/** What the step needs of the gateway's ports. */
interface StepPorts {
  readonly store: Admitted['store'];
  readonly now: () => number;
  readonly pause: (ms: number) => Promise<void>;
}

/** The third step of a request, between admission and routing: looks for an answer to a question that means the same. */
export class SemanticStep {
  private readonly stop = new HangUp();
  private readonly lookUp: LookUp;
  private tokens: number | undefined;

  private constructor(
    private readonly asker: Asker,
    scope: KeyScope,
    { text, rest }: { readonly text: string; readonly rest: Readonly<Record<string, unknown>> },
    private readonly settings: SemanticSettings,
    { store, admission }: Admitted,
    private readonly ports: StepPorts,
  ) {
    const { request, requestId } = asker;
    const { embedder, timeoutMs, minimumSimilarity } = settings;
    const { endpoint, stream } = request;
    const startedAt = ports.now();
    this.lookUp = new LookUp(
      {
        text,
        scope: digestOf({ scope, endpoint, stream, body: rest }, ['similar', embedder.space]),
        vectorKey: `${scopePrefix(scope)}:vector:${sha256(JSON.stringify([embedder.space, text]))}`,
        minimumSimilarity,
        freshMs: asker.cache?.freshMs ?? 0,
      },
      {
        ...settings,
        embed: async (asked) => {
          const context = { requestId, timeoutMs, signal: this.stop, hungUp: asker.client.hungUp };
          const { vector, tokens } = await embedder.embed(asked, context);
          this.tokens = tokens;
          return vector;
        },
        // On the store's clock, as far as it has gone since admission.
        read: (entryKey) => store.readStale(entryKey, admission.now + ports.now() - startedAt),
      },
    );
  }

  /** The step for a request; undefined for one that only an equal request's answer will do for. */
  public static of(
    asker: Asker,
    settings: SemanticSettings | undefined,
    admitted: Admitted,
    ports: StepPorts,
  ): SemanticStep | undefined {
    const { request, cache, idempotency, tenant } = asker;
    if (!settings || request.endpoint !== 'chat' || !cache || cache.freshMs <= 0 || idempotency) return undefined;
    // While the store is lost, there is nothing to answer with.
    if (admitted.store !== ports.store) return undefined;
    const comparable = comparableOf(request.body);
    return (
      comparable && new SemanticStep(asker, keyScope(tenant, request.model), comparable, settings, admitted, ports)
    );
  }

  /** Looks for an answer, and gives up when its time is over. Never fails: a request goes on without. */
  public async find(): Promise<SimilarAnswer | undefined> {
    const { asker, ports, settings, stop } = this;
    const startedAt = ports.now();
    const hangUp = () => {
      stop.abort();
    };
    if (asker.client.hungUp.aborted) return undefined;
    asker.client.hungUp.addEventListener('abort', hangUp);
    const note = (outcome: NonNullable<RequestRecord['semantic']>) => {
      asker.record.semantic = outcome;
    };
    const late = ports.pause(settings.timeoutMs).then(() => 'late' as const);
    try {
      const found = await Promise.race([this.lookUp.find(), late]);
      const durationMs = ports.now() - startedAt;
      const embedded = this.tokens === undefined ? {} : { embeddingTokens: this.tokens };
      if (found === 'late') note({ outcome: 'late', durationMs });
      else if (found) note({ outcome: 'hit', durationMs, similarity: found.similarity, ...embedded });
      else note({ outcome: 'miss', durationMs, ...embedded });
      return found === 'late' ? undefined : found;
    } catch (error) {
      const outcome = error instanceof NoVector ? 'unembedded' : 'failed';
      note({ outcome, durationMs: ports.now() - startedAt, reason: (error as Error).message });
      return undefined;
    } finally {
      stop.abort();
      asker.client.hungUp.removeEventListener('abort', hangUp);
    }
  }

  /**
   * After the answer: keeps the question beside it. Never fails.
   *
   * @param isStored whether the request's own answer was stored
   */
  public async remember(isStored: boolean): Promise<void> {
    const { asker, lookUp, settings } = this;
    const entryKey = isStored && asker.cache?.retainMs !== undefined ? asker.cache.key : undefined;
    try {
      await lookUp.remember(entryKey, settings.ttlMs);
    } catch (error) {
      const { semantic } = asker.record;
      if (semantic) asker.record.semantic = { ...semantic, reason: (error as Error).message };
    }
  }
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
