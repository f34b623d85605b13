import * as apigateway from 'aws-cdk-lib/aws-apigateway';

/** An error that API Gateway answers by itself, in the words of the OpenAI API. */
interface ErrorResponse {
  readonly type: apigateway.ResponseType;
  readonly status: number;
  /** The error's message: a JSON string, or a variable of API Gateway that stands for one. */
  readonly message: string;
  readonly kind: string;
  /** Left out where the type says it all, as OpenAI does. */
  readonly code?: string;
  readonly headers?: Record<string, string>;
}

const RESPONSES: Record<string, ErrorResponse> = {
  InvalidBody: {
    type: apigateway.ResponseType.BAD_REQUEST_BODY,
    status: 400,
    message: '"The request body does not fit this call: $context.error.validationErrorString"',
    kind: 'invalid_request_error',
  },
  MissingKey: {
    type: apigateway.ResponseType.UNAUTHORIZED,
    status: 401,
    message: '"Incorrect or missing API key. Send it as: Authorization: Bearer YOUR_KEY"',
    kind: 'invalid_request_error',
    code: 'invalid_api_key',
  },
  InvalidKey: {
    type: apigateway.ResponseType.INVALID_API_KEY,
    status: 401,
    message: '"This API key is not in use any more."',
    kind: 'invalid_request_error',
    code: 'invalid_api_key',
  },
  AccessDenied: {
    type: apigateway.ResponseType.ACCESS_DENIED,
    status: 403,
    message: '"This API key may not make this call."',
    kind: 'invalid_request_error',
    code: 'forbidden',
  },
  UnknownPath: {
    type: apigateway.ResponseType.MISSING_AUTHENTICATION_TOKEN,
    status: 404,
    message: '"Unknown method or path. See GET /v1/models for what is served."',
    kind: 'invalid_request_error',
    code: 'unknown_url',
  },
  TooLarge: {
    type: apigateway.ResponseType.REQUEST_TOO_LARGE,
    status: 413,
    // 10 MB are API Gateway's bound, 6 those of the function's event, in which a file stands in base 64.
    message:
      '"The request is too large: a body has at most 6 MB, a form with a file 4.4 MB. For a larger file, POST /v1/files ' +
      'takes application/json with purpose, filename and bytes, and answers with an upload_url to PUT it to."',
    kind: 'invalid_request_error',
    code: 'request_too_large',
  },
  UnsupportedMediaType: {
    type: apigateway.ResponseType.UNSUPPORTED_MEDIA_TYPE,
    status: 415,
    message: '"The body must be JSON: set Content-Type: application/json."',
    kind: 'invalid_request_error',
    code: 'unsupported_media_type',
  },
  Throttled: {
    type: apigateway.ResponseType.THROTTLED,
    status: 429,
    message: '"Too many requests at once."',
    kind: 'rate_limit_exceeded',
    code: 'rate_limit_exceeded',
    // A usage plan of `RatePlans` refills at least ten times a second.
    headers: { 'retry-after': "'1'" },
  },
  QuotaSpent: {
    type: apigateway.ResponseType.QUOTA_EXCEEDED,
    status: 429,
    message: '"The requests of this plan for today are spent."',
    kind: 'insufficient_quota',
    code: 'insufficient_quota',
  },
  IntegrationFailed: {
    type: apigateway.ResponseType.INTEGRATION_FAILURE,
    status: 503,
    message: '"The gateway could not answer. Try again."',
    kind: 'server_error',
    code: 'backend_unavailable',
  },
  IntegrationTimedOut: {
    type: apigateway.ResponseType.INTEGRATION_TIMEOUT,
    status: 504,
    message: '"The answer took too long."',
    kind: 'server_error',
    code: 'backend_timeout',
  },
  AuthorizerFailed: {
    type: apigateway.ResponseType.AUTHORIZER_FAILURE,
    status: 500,
    message: '"The API key could not be checked. Try again."',
    kind: 'server_error',
    code: 'internal_error',
  },
};

/** Defaults for whatever has no response of its own; the status stays API Gateway's. */
const DEFAULTS: Record<string, Pick<ErrorResponse, 'type' | 'kind' | 'code'>> = {
  ClientError: { type: apigateway.ResponseType.DEFAULT_4XX, kind: 'invalid_request_error' },
  ServerError: { type: apigateway.ResponseType.DEFAULT_5XX, kind: 'server_error', code: 'internal_error' },
};

/** Makes every error that API Gateway answers by itself arrive as an OpenAI error object. */
export function addErrorResponses(api: apigateway.RestApi): void {
  for (const [id, response] of Object.entries(RESPONSES)) {
    api.addGatewayResponse(id, {
      type: response.type,
      statusCode: String(response.status),
      responseHeaders: { ...REQUEST_ID, ...response.headers },
      templates: { 'application/json': errorObject(response.message, response.kind, response.code) },
    });
  }
  for (const [id, { type, kind, code }] of Object.entries(DEFAULTS)) {
    api.addGatewayResponse(id, {
      type,
      responseHeaders: REQUEST_ID,
      templates: { 'application/json': errorObject('$context.error.messageString', kind, code) },
    });
  }
}

const REQUEST_ID = { 'x-request-id': 'context.requestId' };

function errorObject(message: string, type: string, code?: string): string {
  return `{"error":{"message":${message},"type":"${type}","param":null,"code":${JSON.stringify(code ?? null)}}}`;
}
