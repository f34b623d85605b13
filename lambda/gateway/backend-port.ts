import type { IncomingHttpHeaders } from 'node:http';
import type { ResolvedBackend } from '../../lib/policy/defaults';

/** The part of an AbortSignal that a call needs. */
export interface CallSignal {
  readonly aborted: boolean;
  addEventListener(event: 'abort', listener: () => void): void;
  removeEventListener(event: 'abort', listener: () => void): void;
}

/** A call to a backend. */
export interface BackendCall {
  readonly backend: ResolvedBackend;
  /** Path below the backend's address, such as `/v1/embeddings`. */
  readonly path: string;
  readonly body: string;
  readonly headers: Readonly<Record<string, string>>;
  /** Longest wait for the first byte of the body, in milliseconds; the backend's total limit holds in any case. */
  readonly firstByteMs: number;
  /** Aborted when the client is gone. */
  readonly signal: CallSignal;
}

/** An answer whose first byte has arrived, or whose body is empty. */
export interface BackendAnswer {
  readonly status: number;
  readonly headers: Readonly<IncomingHttpHeaders>;
  /** From the request sent to the first byte of the body. */
  readonly firstByteMs: number;
  /** The body; fails with BackendFailure where it breaks off. */
  readonly body: AsyncIterable<Buffer>;
  /** Gives the rest of the answer up, and with it the connection, unless all of it has arrived. */
  discard(): void;
}

/** Calls backends. Fails with BackendFailure, or with UnsuitedBackend. */
export type CallBackend = (call: BackendCall) => Promise<BackendAnswer>;

/** Why a backend gave no answer: no connection, too late, broken off or not understood, or given up by the client. */
export type FailureKind = 'connect' | 'timeout' | 'broken' | 'abandoned';

/** A call that brought no answer, or not all of it. */
export class BackendFailure extends Error {
  constructor(
    public readonly kind: FailureKind,
    message: string,
  ) {
    super(message);
    this.name = 'BackendFailure';
  }
}

/**
 * The backend cannot do what the request asks for, and was not called or said so itself. Another backend may; where none
 * can, the message is the client's.
 */
export class UnsuitedBackend extends Error {
  /** @param param the request's field that asks for it */
  constructor(
    message: string,
    public readonly param: string,
  ) {
    super(message);
    this.name = 'UnsuitedBackend';
  }
}
