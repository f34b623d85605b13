import { functionBehind } from '../resources/function-reference';
import { referenceIn, resourcesOf, type Template } from '../template';
import { type GatewayResponse, gatewayResponsesOf } from './gateway-response';

/** A REST API as its template describes it. */
export interface ApiDefinition {
  readonly stage: string;
  readonly routes: readonly Route[];
  readonly gatewayResponses: ReadonlyMap<string, GatewayResponse>;
  /** Content types of requests whose bodies functions get in base64. */
  readonly binaryMediaTypes: readonly string[];
}

/** One method of one resource. */
export interface Route {
  readonly method: string;
  /** Path of the resource, such as `/v1/models/{model}`. */
  readonly path: string;
  readonly apiKeyRequired: boolean;
  readonly authorizer?: AuthorizerDefinition;
  /** JSON schemas of the body by content type; empty where the method validates none. */
  readonly bodySchemas: ReadonlyMap<string, object>;
  readonly integration: Integration;
}

/** A TOKEN authorizer. */
export interface AuthorizerDefinition {
  readonly id: string;
  readonly functionId: string;
  /** The header that carries the token, in lower case. */
  readonly header: string;
  /** A token that does not match is refused without a call. */
  readonly pattern?: RegExp;
  readonly cacheSeconds: number;
}

export type Integration =
  | { readonly kind: 'function'; readonly functionId: string }
  | { readonly kind: 'mock'; readonly statusCode: number; readonly contentType: string; readonly body: string };

/** API Gateway's own default. */
const AUTHORIZER_CACHE_SECONDS = 300;

/**
 * Reads the template's REST API.
 *
 * @throws where the API uses what a local run does not know, rather than serve something else than was reviewed
 */
export function readApi(template: Template): ApiDefinition {
  const [stage, ...others] = resourcesOf(template, 'AWS::ApiGateway::Stage');
  if (!stage || others.length > 0) {
    throw new Error(`a local run serves a stack with one API stage, got ${stage ? others.length + 1 : 0}`);
  }
  return {
    stage: String(stage[1].StageName),
    routes: resourcesOf(template, 'AWS::ApiGateway::Method').map(([id, method]) => readRoute(template, id, method)),
    gatewayResponses: gatewayResponsesOf(template),
    binaryMediaTypes: resourcesOf(template, 'AWS::ApiGateway::RestApi').flatMap(
      ([, { BinaryMediaTypes: types }]) => (types ?? []) as readonly string[],
    ),
  };
}

/** Functions that the API calls. */
export function functionsOf(api: ApiDefinition): string[] {
  const ids = api.routes.flatMap(({ authorizer, integration }) => [
    ...(authorizer ? [authorizer.functionId] : []),
    ...(integration.kind === 'function' ? [integration.functionId] : []),
  ]);
  return [...new Set(ids)];
}

function readRoute(template: Template, id: string, method: Record<string, unknown>): Route {
  const path = pathOf(template, method.ResourceId);
  const authorized = method.AuthorizationType === 'CUSTOM';
  if (!authorized && method.AuthorizationType !== 'NONE') {
    throw new Error(
      `${id}: a local run knows the authorization types CUSTOM and NONE, got ${show(method.AuthorizationType)}`,
    );
  }
  return {
    method: String(method.HttpMethod),
    path,
    apiKeyRequired: method.ApiKeyRequired === true,
    ...(authorized && { authorizer: readAuthorizer(template, referenceIn(method.AuthorizerId) ?? '') }),
    bodySchemas: readBodySchemas(template, method),
    integration: readIntegration(template, id, method.Integration as Record<string, unknown>),
  };
}

function pathOf(template: Template, resourceId: unknown): string {
  const id = referenceIn(resourceId) ?? '';
  const resource = template.Resources[id];
  // The parent of a top resource is the API itself.
  if (resource?.Type !== 'AWS::ApiGateway::Resource') return '';
  return `${pathOf(template, resource.Properties?.ParentId)}/${String(resource.Properties?.PathPart)}`;
}

function readAuthorizer(template: Template, id: string): AuthorizerDefinition {
  const properties = template.Resources[id]?.Properties ?? {};
  const header = /^method\.request\.header\.(.+)$/.exec(String(properties.IdentitySource))?.[1];
  if (properties.Type !== 'TOKEN' || !header) {
    throw new Error(`${id}: a local run knows authorizers of type TOKEN with a header, got ${show(properties.Type)}`);
  }
  const pattern = properties.IdentityValidationExpression;
  return {
    id,
    functionId: functionBehind(template, properties.AuthorizerUri, id),
    header: header.toLowerCase(),
    ...(typeof pattern === 'string' && { pattern: new RegExp(`^(?:${pattern})$`) }),
    cacheSeconds: Number(properties.AuthorizerResultTtlInSeconds ?? AUTHORIZER_CACHE_SECONDS),
  };
}

function readBodySchemas(template: Template, method: Record<string, unknown>): Map<string, object> {
  const validator = template.Resources[referenceIn(method.RequestValidatorId) ?? '']?.Properties;
  if (validator?.ValidateRequestBody !== true) return new Map();
  return new Map(
    Object.entries(method.RequestModels ?? {}).flatMap(([contentType, model]: [string, unknown]) => {
      const schema = template.Resources[referenceIn(model) ?? '']?.Properties?.Schema;
      return typeof schema === 'object' && schema !== null ? [[contentType, schema] as const] : [];
    }),
  );
}

function readIntegration(template: Template, id: string, integration: Record<string, unknown>): Integration {
  if (integration.Type === 'AWS_PROXY' && integration.ResponseTransferMode === 'STREAM') {
    return { kind: 'function', functionId: functionBehind(template, integration.Uri, id) };
  }
  if (integration.Type === 'MOCK') {
    const [response] = (integration.IntegrationResponses ?? []) as {
      readonly StatusCode: string;
      readonly ResponseTemplates?: Readonly<Record<string, string>>;
    }[];
    const [contentType, body] = Object.entries(response?.ResponseTemplates ?? {})[0] ?? ['application/json', ''];
    return { kind: 'mock', statusCode: Number(response?.StatusCode ?? 200), contentType, body };
  }
  throw new Error(`${id}: a local run knows streaming Lambda integrations and mocks, got ${show(integration.Type)}`);
}

function show(value: unknown): string {
  return JSON.stringify(value) ?? 'none';
}
