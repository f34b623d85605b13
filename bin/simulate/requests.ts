import type { Trace } from './trace';

/** How a request ended; `OPEN` until then. */
export const Outcome = {
  OPEN: 0,
  /** The last token came. */
  SERVED: 1,
  /** No backend took it. */
  REFUSED: 2,
  /** No backend gave a first token within its time limit. */
  TIMED_OUT: 3,
  /** The answer had begun, and was cut off. */
  BROKEN: 4,
} as const;
export type Outcome = (typeof Outcome)[keyof typeof Outcome];

/** Every request of a run and how far it is: one array a field, one index a request. */
export class Requests {
  public readonly count: number;
  /** Tokens whose attention state must be computed before the next token: the input, and what a preemption threw away. */
  public readonly prompt: Int32Array;
  /** Output tokens that are still to come. */
  public readonly left: Int32Array;
  /** Tokens that the gateway counts while the request is in progress: its input and the output that it expects. */
  public readonly reserved: Int32Array;
  /** Seconds from the start of the run; NaN until then. */
  public readonly firstTokenAt: Float64Array;
  public readonly endedAt: Float64Array;
  public readonly outcome: Uint8Array;
  /** Attempts begun, by which what belongs to an earlier one is told. */
  public readonly attempt: Int32Array;
  /** Instance that has it, -1 for none. */
  public readonly instance: Int32Array;
  /** Requests that have ended. */
  public ended = 0;

  constructor(
    public readonly trace: Trace,
    expectedOutputTokens: number,
  ) {
    this.count = trace.arrivals.length;
    this.prompt = trace.inputTokens.slice();
    this.left = trace.outputTokens.slice();
    this.reserved = trace.inputTokens.map((input) => input + expectedOutputTokens);
    this.firstTokenAt = new Float64Array(this.count).fill(NaN);
    this.endedAt = new Float64Array(this.count).fill(NaN);
    this.outcome = new Uint8Array(this.count);
    this.attempt = new Int32Array(this.count);
    this.instance = new Int32Array(this.count).fill(-1);
  }

  /** Notes a first token; one that is computed again after a preemption is not the first. */
  public begin(request: number, now: number): void {
    if (Number.isNaN(this.firstTokenAt[request]!)) this.firstTokenAt[request] = now;
  }

  public hasBegun(request: number): boolean {
    return !Number.isNaN(this.firstTokenAt[request]!);
  }

  /** Ends a request, once. */
  public end(request: number, outcome: Outcome, now: number): void {
    if (this.outcome[request] !== Outcome.OPEN) throw new Error(`request ${request} has ended before`);
    this.outcome[request] = outcome;
    this.endedAt[request] = now;
    this.ended += 1;
  }
}
