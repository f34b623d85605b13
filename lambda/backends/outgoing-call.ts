import type { IncomingHttpHeaders } from 'node:http';
import { type BackendAnswer, type BackendCall, BackendFailure } from '../gateway/backend-port';
import { AnswerBody, type BodySource } from './answer-body';
import type { BackendConnection, Caller, Progress } from './backend-connection';
import { CallLimits } from './call-limits';
import type { RequestText } from './request-text';

/** The backend closed a kept connection at the very moment of its reuse: the request never reached it. */
export class StaleConnection extends BackendFailure {}

/** One call on one connection, from its request to the last byte of its answer. */
export class OutgoingCall implements Caller, BodySource {
  private readonly started = performance.now();
  private readonly limits: CallLimits;
  private readonly body = new AnswerBody(this);
  private status = 0;
  private headers: IncomingHttpHeaders = {};
  private hasBegun = false;

  private constructor(
    call: BackendCall,
    private readonly connection: BackendConnection,
    private readonly resolve: (answer: BackendAnswer) => void,
    private readonly reject: (failure: BackendFailure) => void,
  ) {
    this.limits = new CallLimits({ firstByteMs: call.firstByteMs, ...call.backend.timeouts }, call.signal, (reason) => {
      connection.destroy(reason);
    });
  }

  /** Makes the call. Settles when the first byte of the body is here, or the answer has turned out empty or failed. */
  public static make(call: BackendCall, connection: BackendConnection, request: RequestText): Promise<BackendAnswer> {
    return new Promise((resolve, reject) => {
      const made = new OutgoingCall(call, connection, resolve, reject);
      const { limits } = made;
      const mustConnect = connection.send(request, made, () => {
        limits.connected();
      });
      if (mustConnect) limits.connecting();
    });
  }

  /** {@inheritDoc Caller.head} */
  public head(status: number, headers: IncomingHttpHeaders): void {
    this.status = status;
    this.headers = headers;
  }

  /** {@inheritDoc Caller.chunk} */
  public chunk(bytes: Buffer): void {
    this.limits.received();
    this.body.take(bytes);
    this.begin();
  }

  /** {@inheritDoc Caller.end} */
  public end(): void {
    this.limits.clear();
    this.body.finish('complete');
    this.begin();
  }

  /** {@inheritDoc Caller.lost} */
  public lost(error: Error, progress: Progress): void {
    this.limits.clear();
    const failure = this.limits.reason ?? this.failureOf(error, progress);
    this.body.finish(failure);
    this.reject(failure);
  }

  /** {@inheritDoc BodySource.hold} */
  public hold(isHeld: boolean): void {
    this.limits.heldUp(isHeld);
    if (isHeld) this.connection.pause();
    else this.connection.resume();
  }

  /** {@inheritDoc BodySource.giveUp} */
  public giveUp(): void {
    this.connection.destroy();
  }

  private begin(): void {
    if (this.hasBegun) return;
    this.hasBegun = true;
    const { status, headers, body } = this;
    this.resolve({
      status,
      headers,
      firstByteMs: performance.now() - this.started,
      body,
      discard: () => {
        body.discard();
      },
    });
  }

  private failureOf(error: NodeJS.ErrnoException, progress: Progress): BackendFailure {
    const detail = error.code ?? error.message;
    if (progress === 'connecting') return new BackendFailure('connect', detail);
    if (progress === 'unanswered' && this.connection.reused) {
      return new StaleConnection('broken', `the kept connection was closed (${detail})`);
    }
    return new BackendFailure('broken', `the answer broke off (${detail})`);
  }
}
