import { resourcesOf, type Template } from '../template';

/** An answer that API Gateway gives by itself, as customised by the template. */
export interface GatewayResponse {
  readonly statusCode?: number;
  /** By header name; `'in quotes'` is literal, `context.requestId` is looked up. */
  readonly headers: Readonly<Record<string, string>>;
  readonly template?: string;
}

/** API Gateway refuses a request or cannot have it answered. */
export class GatewayError extends Error {
  public constructor(
    public readonly type: GatewayErrorType,
    message: string = BUILT_IN[type].message,
    /** What a request model found wrong. */
    public readonly validationError = '',
  ) {
    super(message);
  }
}

export type GatewayErrorType = keyof typeof BUILT_IN;

/**
 * What API Gateway answers where nothing is customised; see
 * https://docs.aws.amazon.com/apigateway/latest/developerguide/supported-gateway-response-types.html.
 */
const BUILT_IN = {
  ACCESS_DENIED: { statusCode: 403, message: 'User is not authorized to access this resource' },
  API_CONFIGURATION_ERROR: { statusCode: 500, message: 'Internal server error' },
  AUTHORIZER_CONFIGURATION_ERROR: { statusCode: 500, message: 'Internal server error' },
  AUTHORIZER_FAILURE: { statusCode: 500, message: 'Internal server error' },
  BAD_REQUEST_BODY: { statusCode: 400, message: 'Invalid request body' },
  INTEGRATION_FAILURE: { statusCode: 502, message: 'Internal server error' },
  INVALID_API_KEY: { statusCode: 403, message: 'Forbidden' },
  MISSING_AUTHENTICATION_TOKEN: { statusCode: 403, message: 'Missing Authentication Token' },
  QUOTA_EXCEEDED: { statusCode: 429, message: 'Limit Exceeded' },
  REQUEST_TOO_LARGE: { statusCode: 413, message: 'Request Too Long' },
  THROTTLED: { statusCode: 429, message: 'Too Many Requests' },
  UNAUTHORIZED: { statusCode: 401, message: 'Unauthorized' },
} as const;

const BUILT_IN_TEMPLATE = '{"message":$context.error.messageString}';

/** The template's gateway responses by their type. */
export function gatewayResponsesOf(template: Template): Map<string, GatewayResponse> {
  return new Map(
    resourcesOf(template, 'AWS::ApiGateway::GatewayResponse').map(([, properties]) => {
      const parameters = Object.entries((properties.ResponseParameters ?? {}) as Record<string, string>);
      const headers = parameters.map(([key, value]) => [key.replace(/^gatewayresponse\.header\./, ''), value] as const);
      const templates = (properties.ResponseTemplates ?? {}) as Record<string, string>;
      const response: GatewayResponse = {
        ...(properties.StatusCode !== undefined && { statusCode: Number(properties.StatusCode) }),
        headers: Object.fromEntries(headers),
        template: templates['application/json'],
      };
      return [String(properties.ResponseType), response];
    }),
  );
}

/** The answer to a request that API Gateway itself refuses. */
export function renderGatewayError(
  error: GatewayError,
  responses: ReadonlyMap<string, GatewayResponse>,
  requestId: string,
): { statusCode: number; headers: Record<string, string>; body: string } {
  const builtIn = BUILT_IN[error.type];
  const byClass = responses.get(builtIn.statusCode < 500 ? 'DEFAULT_4XX' : 'DEFAULT_5XX');
  const response = responses.get(error.type) ?? byClass;
  const context: Record<string, string> = {
    'context.requestId': requestId,
    'context.extendedRequestId': requestId,
    'context.error.message': error.message,
    // The one variable that brings its quotes.
    'context.error.messageString': JSON.stringify(error.message),
    'context.error.responseType': error.type,
    // Its own quotes arrive escaped, as it stands inside a JSON string.
    'context.error.validationErrorString': JSON.stringify(error.validationError).slice(1, -1),
  };
  const headers = Object.entries(response?.headers ?? {}).map(([name, value]) => {
    const literal = /^'(.*)'$/.exec(value)?.[1];
    return [name, literal ?? context[value] ?? ''] as const;
  });
  return {
    statusCode: response?.statusCode ?? builtIn.statusCode,
    headers: { 'content-type': 'application/json', 'x-amzn-errortype': error.type, ...Object.fromEntries(headers) },
    body: (response?.template ?? BUILT_IN_TEMPLATE).replace(
      /\$(context(?:\.\w+)+)/g,
      (_, variable: string) => context[variable] ?? '',
    ),
  };
}
