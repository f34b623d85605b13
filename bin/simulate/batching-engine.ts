import type { InstanceProfile } from './instance-profile';
import { RequestQueue } from './request-queue';
import type { Requests } from './requests';

/** What an engine tells its surroundings. */
export interface EngineListener {
  /** Asks to be woken at that time; a later call makes this one void. */
  wakeAt(time: number, version: number): void;
  /** The request's last token came. */
  onServed(request: number, now: number): void;
}

/** Share of the KV cache that is kept free when a request is let in, as vLLM's watermark does. */
const WATERMARK = 0.01;

/**
 * A model server with continuous batching, as vLLM schedules: a step gives each running request one token and computes
 * up to `stepTokens` of the inputs that wait, first come first served. When the KV cache is full, the youngest request
 * gives its room back and is computed again later.
 *
 * Steps in which nothing but decoding happens are run in one go up to the next end of a request, or to an arrival.
 */
export class BatchingEngine {
  /** Requests and what the steps of decoding began and end with, by slot. */
  private readonly running: Int32Array;
  private readonly joinedAtStep: Float64Array;
  private readonly lastStep: Float64Array;
  private runningCount = 0;
  private nextEnd = Infinity;

  private readonly waiting = new RequestQueue();
  /** Requests whose inputs are computed in part, and what is left of each, oldest first. */
  private readonly partial: number[] = [];
  private readonly partialLeft: number[] = [];
  /** Inputs that are complete at the end of the step. */
  private completing: number[] = [];

  private steps = 0;
  private kvUsed = 0;
  /** The run of steps in progress: none where `runSteps` is 0. */
  private runSteps = 0;
  private runStart = 0;
  private stepSeconds = 0;
  private runIsDecodeOnly = false;
  private runVersion = 0;
  private busyBefore = 0;

  /** Requests that lost their place in the cache, counted each time. */
  public preemptions = 0;

  constructor(
    private readonly profile: InstanceProfile,
    private readonly requests: Requests,
    private readonly listener: EngineListener,
  ) {
    this.running = new Int32Array(profile.maxRequests);
    this.joinedAtStep = new Float64Array(profile.maxRequests);
    this.lastStep = new Float64Array(profile.maxRequests);
  }

  /** Requests that have not been let in yet. */
  public get waitingCount(): number {
    return this.waiting.length;
  }

  /** All requests that it has. */
  public get requestCount(): number {
    return this.waiting.length + this.runningCount + this.completing.length + this.partial.length;
  }

  /** Whether a request of so many tokens can be served at all. */
  public fits(tokens: number): boolean {
    return tokens <= this.profile.kvTokens * (1 - WATERMARK);
  }

  /** Seconds of its life in which it computed, until now. */
  public busySeconds(now: number): number {
    return this.busyBefore + (this.runSteps > 0 ? now - this.runStart : 0);
  }

  /** Share of the KV cache in use, 0 to 1. */
  public kvUsage(now: number): number {
    const stepsDone = this.runSteps > 0 ? Math.floor((now - this.runStart) / this.stepSeconds) : 0;
    return (this.kvUsed + Math.min(stepsDone, this.runSteps) * this.runningCount) / this.profile.kvTokens;
  }

  /** Takes a request, which must fit. */
  public add(request: number, now: number): void {
    this.waiting.push(request);
    if (this.runSteps === 0) this.beginRun(now);
    else if (this.runIsDecodeOnly && this.waiting.length === 1 && this.hasRoomFor(request)) this.cutRun(now);
  }

  /** Gives a request up that has no token yet; false where it does not have it or a step completes its input already. */
  public cancel(request: number): boolean {
    const begun = this.partial.indexOf(request);
    if (begun >= 0) {
      this.dropPartial(begun);
      return true;
    }
    return this.waiting.remove(request);
  }

  /** Ends all work at once. @returns the requests that it had */
  public stop(now: number): number[] {
    const all = [
      ...this.running.subarray(0, this.runningCount),
      ...this.completing,
      ...this.waiting,
      ...this.partial.splice(0),
    ];
    this.partialLeft.length = 0;
    this.busyBefore = this.busySeconds(now);
    this.runSteps = 0;
    this.runVersion += 1;
    this.runningCount = 0;
    this.completing = [];
    while (this.waiting.length > 0) this.waiting.shift();
    return all;
  }

  /** Ends the run that it asked to be woken for; nothing where the version is not the newest. */
  public wake(now: number, version: number): void {
    if (version !== this.runVersion || this.runSteps === 0) return;
    this.busyBefore += now - this.runStart;
    this.steps += this.runSteps;
    this.kvUsed += this.runSteps * this.runningCount;
    this.runSteps = 0;
    if (this.steps >= this.nextEnd) this.endDecoded(now);
    if (this.completing.length > 0) this.beginDecoding(now);
    this.beginRun(now);
  }

  private endDecoded(now: number): void {
    let next = Infinity;
    for (let slot = 0; slot < this.runningCount;) {
      if (this.lastStep[slot]! <= this.steps) {
        this.listener.onServed(this.leave(slot), now);
      } else {
        next = Math.min(next, this.lastStep[slot]!);
        slot += 1;
      }
    }
    this.nextEnd = next;
  }

  /** Frees a slot and the cache of its request; the last slot takes its place. */
  private leave(slot: number): number {
    const request = this.running[slot]!;
    this.kvUsed -= this.requests.prompt[request]! + (this.steps - this.joinedAtStep[slot]!);
    const last = --this.runningCount;
    this.running[slot] = this.running[last]!;
    this.joinedAtStep[slot] = this.joinedAtStep[last]!;
    this.lastStep[slot] = this.lastStep[last]!;
    return request;
  }

  /** The step that completes an input gives its first token too. */
  private beginDecoding(now: number): void {
    for (const request of this.completing) {
      this.requests.begin(request, now);
      if (this.requests.left[request] === 1) {
        this.kvUsed -= this.requests.prompt[request]!;
        this.listener.onServed(request, now);
        continue;
      }
      const slot = this.runningCount++;
      this.running[slot] = request;
      this.joinedAtStep[slot] = this.steps;
      this.lastStep[slot] = this.steps + this.requests.left[request]! - 1;
      this.nextEnd = Math.min(this.nextEnd, this.lastStep[slot]);
    }
    this.completing.length = 0;
  }

  /** Decides what the next steps do, and asks to be woken at their end. */
  private beginRun(now: number): void {
    const preempted = this.makeRoomToDecode();
    const inputTokens = this.scheduleInputs(preempted);
    if (this.runningCount === 0 && inputTokens === 0) return;
    this.runIsDecodeOnly = inputTokens === 0;
    this.stepSeconds = this.secondsOfStep(inputTokens);
    this.runSteps = this.runIsDecodeOnly ? this.stepsUntilChange() : 1;
    this.runStart = now;
    this.ask();
  }

  /** Steps until a request ends or the cache is full. */
  private stepsUntilChange(): number {
    const untilFull = Math.floor((this.profile.kvTokens - this.kvUsed) / this.runningCount);
    return Math.max(1, Math.min(this.nextEnd - this.steps, untilFull));
  }

  private secondsOfStep(inputTokens: number): number {
    const { stepMs, stepMsPerRequest, prefillTokensPerSecond } = this.profile;
    return (stepMs + stepMsPerRequest * this.runningCount) / 1000 + inputTokens / prefillTokensPerSecond;
  }

  /** Takes requests out of the cache, the youngest first, until each that is left can have its next token. */
  private makeRoomToDecode(): boolean {
    let preempted = false;
    while (this.runningCount > 0 && this.kvUsed + this.runningCount > this.profile.kvTokens) {
      preempted = true;
      this.preemptions += 1;
      if (this.partial.length > 0) {
        this.waiting.pushFront(this.dropPartial(this.partial.length - 1));
        continue;
      }
      let youngest = 0;
      for (let slot = 1; slot < this.runningCount; slot++) {
        if (this.joinedAtStep[slot]! >= this.joinedAtStep[youngest]!) youngest = slot;
      }
      const given = this.steps - this.joinedAtStep[youngest]! + 1;
      const request = this.leave(youngest);
      this.requests.prompt[request]! += given;
      this.requests.left[request]! -= given;
      this.waiting.pushFront(request);
      this.nextEnd = Infinity;
      for (let slot = 0; slot < this.runningCount; slot++) {
        this.nextEnd = Math.min(this.nextEnd, this.lastStep[slot]!);
      }
    }
    return preempted;
  }

  /**
   * Fills a step with inputs, after one token for each running request: those begun before the ones that wait, and of each
   * at most `longInputTokens`. @returns the input tokens in it
   */
  private scheduleInputs(preempted: boolean): number {
    const { stepTokens, longInputTokens } = this.profile;
    let budget = Math.max(1, stepTokens - this.runningCount);
    let scheduled = 0;
    for (let place = 0; budget > 0;) {
      if (place === this.partial.length) {
        const next = this.waiting.first;
        if (next === undefined || preempted || !this.hasRoomFor(next)) break;
        this.waiting.shift();
        this.partial.push(next);
        this.partialLeft.push(this.requests.prompt[next]!);
        this.kvUsed += this.requests.prompt[next]!;
      }
      const taken = Math.min(budget, longInputTokens, this.partialLeft[place]!);
      this.partialLeft[place]! -= taken;
      budget -= taken;
      scheduled += taken;
      if (this.partialLeft[place] === 0) {
        this.completing.push(this.partial[place]!);
        this.partial.splice(place, 1);
        this.partialLeft.splice(place, 1);
      } else {
        place += 1;
      }
    }
    return scheduled;
  }

  /** Gives the cache of an input that is computed in part back. @returns its request */
  private dropPartial(place: number): number {
    const request = this.partial[place]!;
    this.partial.splice(place, 1);
    this.partialLeft.splice(place, 1);
    this.kvUsed -= this.requests.prompt[request]!;
    return request;
  }

  private hasRoomFor(request: number): boolean {
    const batch = this.runningCount + this.completing.length + this.partial.length;
    if (batch >= this.profile.maxRequests) return false;
    return this.kvUsed + this.requests.prompt[request]! + batch <= this.profile.kvTokens * (1 - WATERMARK);
  }

  /** Ends a run of decoding at the end of its present step, so that an arrival can join. */
  private cutRun(now: number): void {
    const steps = Math.max(1, Math.ceil((now - this.runStart) / this.stepSeconds));
    if (steps >= this.runSteps) return;
    this.runSteps = steps;
    this.ask();
  }

  private ask(): void {
    this.runVersion += 1;
    this.listener.wakeAt(this.runStart + this.runSteps * this.stepSeconds, this.runVersion);
  }
}
