/** The body of every error: OpenAI's object, which the official clients turn into their own typed errors. */
export interface ErrorBody {
  readonly error: {
    readonly message: string;
    readonly type: string;
    readonly param: string | null;
    readonly code: string | null;
  };
}

interface ErrorDetails {
  readonly status: number;
  readonly type: string;
  readonly message: string;
  readonly param?: string;
  readonly code?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** An error that the client is told about. Any other error is a fault of ours and reaches it as 500 without details. */
export class ApiError extends Error {
  /** HTTP status. */
  public readonly status: number;
  /** Headers that belong to this error, such as `retry-after`. */
  public readonly headers: Readonly<Record<string, string>>;
  /** The response's body. */
  public readonly body: ErrorBody;

  constructor({ status, type, message, param, code, headers }: ErrorDetails) {
    super(message);
    this.name = 'ApiError';
    this.status = status;
    this.headers = headers ?? {};
    this.body = { error: { message, type, param: param ?? null, code: code ?? null } };
  }

  /** 400: something in the request is wrong; `param` names it. */
  public static invalidRequest(message: string, param?: string): ApiError {
    return new ApiError({ status: 400, type: 'invalid_request_error', message, ...(param && { param }) });
  }

  /** 401: no authorizer vouched for the caller. */
  public static unauthenticated(): ApiError {
    const message = 'Incorrect API key provided.';
    return new ApiError({ status: 401, type: 'invalid_request_error', message, code: 'invalid_api_key' });
  }

  /** 401: the caller's token has expired since the authorizer checked it. */
  public static tokenExpired(): ApiError {
    const message = 'This token has expired. Send a new one.';
    return new ApiError({ status: 401, type: 'invalid_request_error', message, code: 'token_expired' });
  }

  /** 403: the caller is known, and may not. */
  public static forbidden(message: string): ApiError {
    return new ApiError({ status: 403, type: 'invalid_request_error', message, code: 'forbidden' });
  }

  /** 404: no such path. */
  public static unknownPath(method: string, path: string): ApiError {
    const message = `Unknown request URL: ${method} ${path}.`;
    return new ApiError({ status: 404, type: 'invalid_request_error', message, code: 'unknown_url' });
  }

  /** 404: no such model. */
  public static modelNotFound(model: string): ApiError {
    const message = `The model \`${model}\` does not exist or you do not have access to it.`;
    return new ApiError({
      status: 404,
      type: 'invalid_request_error',
      message,
      param: 'model',
      code: 'model_not_found',
    });
  }

  /** 409: the idempotency key was used for another request. */
  public static keyReused(): ApiError {
    const message = 'This idempotency-key was used with another request. Use a new key for a new request.';
    return new ApiError({ status: 409, type: 'invalid_request_error', message, code: 'idempotency_key_reused' });
  }

  /** 409: the request under this idempotency key is in progress. */
  public static keyInUse(): ApiError {
    const message = 'The request with this idempotency-key is being computed. Ask again for its answer.';
    const headers = { 'retry-after': '1' };
    return new ApiError({
      status: 409,
      type: 'invalid_request_error',
      message,
      code: 'idempotency_key_in_use',
      headers,
    });
  }

  /** 413: the body is too large to be read. */
  public static tooLarge(bytes: number, most: number): ApiError {
    const message = `The request body has ${bytes} bytes; the most is ${most}.`;
    return new ApiError({ status: 413, type: 'invalid_request_error', message, code: 'request_too_large' });
  }

  /** 429: a limit is spent. Sent again after `retryAfterMs`, the request is admitted if nobody else spent meanwhile. */
  public static rateLimited(type: 'requests' | 'tokens', message: string, retryAfterMs: number): ApiError {
    const seconds = Math.max(1, Math.ceil(retryAfterMs / 1000));
    return new ApiError({
      status: 429,
      type,
      message,
      code: 'rate_limit_exceeded',
      headers: { 'retry-after': String(seconds) },
    });
  }

  /** 429: what is spent comes back with the next month only, so that trying again soon is in vain. */
  public static quotaSpent(message: string, retryAfterMs: number): ApiError {
    return new ApiError({
      status: 429,
      type: 'insufficient_quota',
      message,
      code: 'insufficient_quota',
      headers: { 'retry-after': String(Math.max(1, Math.ceil(retryAfterMs / 1000))) },
    });
  }

  /** 500: a fault of ours, whose details are for the log alone. */
  public static internal(): ApiError {
    const message = 'The server had an error while processing your request.';
    return new ApiError({ status: 500, type: 'server_error', message, code: 'internal_error' });
  }

  /** 503: no backend could answer, or nothing may be served uncounted. */
  public static unavailable(message: string, code: 'backend_unavailable' | 'store_unavailable'): ApiError {
    return new ApiError({ status: 503, type: 'server_error', message, code });
  }

  /** 504: no backend answered in time. */
  public static timedOut(model: string): ApiError {
    const message = `No backend of the model \`${model}\` answered in time.`;
    return new ApiError({ status: 504, type: 'server_error', message, code: 'backend_timeout' });
  }

  /** 504: the request asked for a stored answer or none, and there is none (RFC 9111, section 5.2.1.7). */
  public static notStored(): ApiError {
    const message = 'No stored answer, and the request asks for nothing else (cache-control: only-if-cached).';
    return new ApiError({ status: 504, type: 'invalid_request_error', message, code: 'not_cached' });
  }
}
