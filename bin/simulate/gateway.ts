import { RetryBudget, retryDelayMs } from '../../lambda/fault-tolerance/retry-budget';
import { hasRoom, preferenceOf } from '../../lambda/load-balancing/load';
import { type Agenda, Happening } from './agenda';
import type { Fleet } from './fleet';
import type { Instance } from './instance';
import type { Random } from './random';
import { Outcome, type Requests } from './requests';

/** A service outside the platform: it takes any number of requests, and is as fast with many as with one. */
export interface OutsideService {
  readonly firstTokenSeconds: number;
  readonly secondsPerToken: number;
}

/** A backend of the model's chain. */
export interface GatewayLink {
  readonly name: string;
  /** Its share of the load; 0 for a fallback. */
  readonly share: number;
  /** Tokens that it carries at one time; undefined for no bound. */
  readonly capacityTokens?: number;
  /** Limit to the first token; infinite for none. */
  readonly firstTokenSeconds: number;
  readonly retries: { readonly max: number; readonly budgetRatio: number };
  readonly serves: Fleet | OutsideService;
}

/** The weight of the one tenant that a trace has. */
const WEIGHT = 1;

/**
 * Routes requests as the platform's gateway does, with its own code: the order of backends, room, the retry budget and
 * the pause before a retry. Breakers, hedging and the cache are left out.
 */
export class Gateway {
  private readonly budgets: readonly RetryBudget[];
  /** Tokens in progress at each backend. */
  private readonly tokens: number[];
  private readonly position: Uint8Array;
  private readonly retried: Uint8Array;
  private readonly orders = new Map<number, readonly number[]>();
  /** Answers by backend. */
  public readonly served: number[];

  constructor(
    private readonly links: readonly GatewayLink[],
    private readonly requests: Requests,
    private readonly agenda: Agenda,
    private readonly random: Random,
  ) {
    this.budgets = links.map(({ retries }) => new RetryBudget(retries.budgetRatio));
    this.tokens = links.map(() => 0);
    this.served = links.map(() => 0);
    this.position = new Uint8Array(requests.count);
    this.retried = new Uint8Array(requests.count);
  }

  /** A request comes in. */
  public arrive(request: number, now: number): void {
    if (this.links.length > 1) {
      const candidates = this.links.map(({ share }, index) => ({
        share,
        total: this.tokens[index]!,
        random: this.random(),
      }));
      this.orders.set(request, preferenceOf(candidates));
    }
    this.tryNext(request, Outcome.REFUSED, now);
  }

  /** Sends a request again to the backend that failed it. */
  public retry(request: number, attempt: number, now: number): void {
    if (this.isCurrent(request, attempt)) this.send(request, now);
  }

  /** The first token has not come in time. */
  public timeOut(request: number, attempt: number, instances: readonly Instance[], now: number): void {
    if (!this.isCurrent(request, attempt) || this.requests.hasBegun(request)) return;
    const link = this.linkOf(request);
    const instance = instances[this.requests.instance[request]!];
    if (instance && 'take' in link.serves) {
      // The step in progress completes its input: the first token is on its way.
      if (instance.state !== 'lost' && !instance.engine.cancel(request)) return;
      this.leave(request, instance, now);
    } else {
      this.tokens[this.indexOf(request)]! -= this.requests.reserved[request]!;
    }
    this.fail(request, Outcome.TIMED_OUT, now);
  }

  /** The last token has come. */
  public serve(request: number, instance: Instance | undefined, now: number): void {
    this.served[this.indexOf(request)]! += 1;
    if (instance) this.leave(request, instance, now);
    else this.tokens[this.indexOf(request)]! -= this.requests.reserved[request]!;
    this.end(request, Outcome.SERVED, now);
  }

  /** The instance is gone: what has begun cannot go on elsewhere, what has not is tried again. */
  public cutOff(request: number, instance: Instance, now: number): void {
    this.leave(request, instance, now);
    if (this.requests.hasBegun(request)) this.end(request, Outcome.BROKEN, now);
    else this.fail(request, Outcome.TIMED_OUT, now);
  }

  /** A service outside begins to answer. */
  public beginOutside(request: number, attempt: number, now: number): void {
    if (this.isCurrent(request, attempt)) this.requests.begin(request, now);
  }

  /** A service outside has answered. */
  public endOutside(request: number, attempt: number, now: number): void {
    if (this.isCurrent(request, attempt)) this.serve(request, undefined, now);
  }

  private tryNext(request: number, reason: Outcome, now: number): void {
    let outcome = reason;
    const short: Fleet[] = [];
    for (; this.position[request]! < this.links.length; this.position[request]! += 1) {
      const { capacityTokens, serves, share } = this.linkOf(request);
      const fleet = 'take' in serves ? serves : undefined;
      const room = capacityTokens ?? fleet?.room;
      const index = this.indexOf(request);
      const total = this.tokens[index]!;
      const load = { total, own: total, weights: total > 0 ? WEIGHT : 0 };
      const asked = { tokens: this.requests.reserved[request]!, weight: WEIGHT };
      if (room === undefined || hasRoom(load, asked, room)) {
        // What another of those that share the load takes is not missed.
        if (share === 0) short.forEach((missed) => missed.turnAway(request));
        this.budgets[index]!.earn();
        this.retried[request] = 0;
        return this.send(request, now);
      }
      if (fleet && capacityTokens === undefined) short.push(fleet);
      outcome = Outcome.REFUSED;
    }
    short.forEach((missed) => missed.turnAway(request));
    this.end(request, outcome, now);
  }

  private send(request: number, now: number): void {
    const link = this.linkOf(request);
    const attempt = ++this.requests.attempt[request]!;
    const { serves } = link;
    if ('take' in serves) {
      if (!serves.take(request, now)) return this.fail(request, Outcome.REFUSED, now);
    } else {
      const begins = now + serves.firstTokenSeconds;
      const ends = begins + serves.secondsPerToken * (this.requests.trace.outputTokens[request]! - 1);
      this.agenda.add(begins, Happening.SERVICE_BEGINS, request, attempt);
      this.agenda.add(ends, Happening.SERVICE_ENDS, request, attempt);
    }
    this.tokens[this.indexOf(request)]! += this.requests.reserved[request]!;
    if (link.firstTokenSeconds < Infinity) {
      this.agenda.add(now + link.firstTokenSeconds, Happening.FIRST_TOKEN_LIMIT, request, attempt);
    }
  }

  private fail(request: number, reason: Outcome, now: number): void {
    const { retries } = this.linkOf(request);
    // What the failed attempt still has on the agenda is void from here on.
    const attempt = ++this.requests.attempt[request]!;
    if (this.retried[request]! < retries.max && this.budgets[this.indexOf(request)]!.spend()) {
      const retry = ++this.retried[request]!;
      const pause = retryDelayMs(retry, this.random) / 1000;
      this.agenda.add(now + pause, Happening.RETRY, request, attempt);
      return;
    }
    this.position[request]! += 1;
    this.tryNext(request, reason, now);
  }

  private leave(request: number, instance: Instance, now: number): void {
    const { serves } = this.linkOf(request);
    if ('take' in serves) serves.release(request, instance, now);
    this.tokens[this.indexOf(request)]! -= this.requests.reserved[request]!;
  }

  private end(request: number, outcome: Outcome, now: number): void {
    this.requests.end(request, outcome, now);
    this.orders.delete(request);
  }

  private isCurrent(request: number, attempt: number): boolean {
    return this.requests.outcome[request] === Outcome.OPEN && this.requests.attempt[request] === attempt;
  }

  /** The link that a request is at. */
  private linkOf(request: number): GatewayLink {
    return this.links[this.indexOf(request)]!;
  }

  private indexOf(request: number): number {
    const position = this.position[request]!;
    return this.orders.get(request)?.[position] ?? position;
  }
}
