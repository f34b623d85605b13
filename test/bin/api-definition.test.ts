import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { CfnResource, type Stack } from 'aws-cdk-lib';
import * as apigateway from 'aws-cdk-lib/aws-apigateway';
import { existsSync } from 'node:fs';
import { type ApiDefinition, functionsOf, readApi } from '../../bin/start/api-gateway/api-definition';
import { defineFunction } from '../../bin/start/function-definition';
import { type Synthesis, synthesise } from '../../bin/start/synthesis';
import { registerTenantKeys } from '../../bin/start/tenant-keys';
import { AUTHORIZE, fixtureApi, SERVE } from './fixture-api';

describe('the API that a template describes', () => {
  let synthesis: Synthesis;
  let api: ApiDefinition;

  beforeAll(() => {
    synthesis = synthesise(fixtureApi);
    api = readApi(synthesis.template);
  });

  afterAll(() => synthesis.remove());

  it('has the routes of its resources and methods', () => {
    expect(api.stage).toBe('prod');
    expect(api.routes.map(({ method, path }) => `${method} ${path}`).sort()).toEqual([
      'GET /healthz',
      'GET /v1/models',
      'GET /v1/models/{model}',
      'POST /v1/chat',
    ]);
  });

  it('checks keys by its authorizer, with the cache and the pattern of the template', () => {
    const chat = api.routes.find(({ path }) => path === '/v1/chat')!;
    expect(chat.apiKeyRequired).toBe(true);
    expect(chat.authorizer).toMatchObject({ header: 'authorization', cacheSeconds: 60 });
    expect(chat.authorizer?.functionId).toMatch(AUTHORIZE);
    expect('Bearer x').toMatch(chat.authorizer!.pattern!);
    expect('Basic x').not.toMatch(chat.authorizer!.pattern!);
  });

  it('validates bodies where the template does', () => {
    const schemas = Object.fromEntries(api.routes.map(({ path, bodySchemas }) => [path, [...bodySchemas.keys()]]));
    expect(schemas).toMatchObject({ '/v1/chat': ['application/json'], '/v1/models': [], '/healthz': [] });
  });

  it('calls the functions of its integrations and its authorizer, each once', () => {
    expect(
      functionsOf(api)
        .map((id) => id.replace(/[0-9A-F]{8}$/, ''))
        .sort(),
    ).toEqual([AUTHORIZE, SERVE]);
  });

  it('answers a mock by itself', () => {
    const { integration } = api.routes.find(({ path }) => path === '/healthz')!;
    expect(integration).toEqual({
      kind: 'mock',
      statusCode: 200,
      contentType: 'application/json',
      body: '{"status":"ok"}',
    });
  });

  it("runs a function's built code with its literal environment and local values for the rest", () => {
    const id = functionsOf(api).find((candidate) => candidate.startsWith(SERVE))!;
    const definition = defineFunction(synthesis, id, { STORE_URL: 'redis://127.0.0.1:1' });
    expect(existsSync(definition.file)).toBe(true);
    expect(definition).toMatchObject({ handler: 'handler', timeoutMs: 30_000 });
    expect(definition.environment).toMatchObject({
      LITERAL: 'as it is',
      STORE_URL: 'redis://127.0.0.1:1',
      AWS_ACCESS_KEY_ID: 'local',
      AWS_LAMBDA_FUNCTION_NAME: id,
    });
    expect(existsSync(definition.environment.POLICY_FILE!)).toBe(true);
  });

  it('leaves out a variable that has no meaning here', () => {
    const id = functionsOf(api).find((candidate) => candidate.startsWith(SERVE))!;
    expect(defineFunction(synthesis, id, { STORE_URL: undefined }).environment).not.toHaveProperty('STORE_URL');
  });

  it('refuses to start with a variable that only a deployment knows', () => {
    const id = functionsOf(api).find((candidate) => candidate.startsWith(SERVE))!;
    expect(() => defineFunction(synthesis, id, {})).toThrow('variable STORE_URL is known only at deployment');
  });

  it('knows tenants by the hash of their key, and the API key that stands for it', () => {
    const { rows, keyIds } = registerTenantKeys(synthesis.template, new Map([['acme', ['sk-one', 'sk-two']]]));
    expect(rows).toHaveLength(2);
    expect(rows[0]).toEqual({
      // printf sk-one | sha256sum
      keyHash: '456f1612bd25c6c8455039437bf441f43aa3b7d1c0b0047c712d5036dfebef0d',
      tenant: 'acme',
      plan: 'standard',
    });
    expect(JSON.stringify(rows)).not.toContain('sk-one');
    expect([...keyIds.keys()]).toEqual(['sk-one', 'sk-two']);
    expect(synthesis.template.Resources[keyIds.get('sk-one')!]?.Type).toBe('AWS::ApiGateway::ApiKey');
  });
});

describe('a template that a local run cannot serve', () => {
  const reading = (build: (stack: Stack) => void) => () => {
    const synthesis = synthesise(build);
    synthesis.remove();
    return readApi(synthesis.template);
  };

  it('has no API', () => {
    expect(reading((stack) => new CfnResource(stack, 'Topic', { type: 'AWS::SNS::Topic' }))).toThrow(
      'one API stage, got 0',
    );
  });

  it('has an integration that is neither a stream nor a mock', () => {
    const build = (stack: Stack) => {
      const api = new apigateway.RestApi(stack, 'Api', { cloudWatchRole: false });
      api.root.addMethod('GET', new apigateway.HttpIntegration('https://example.com'));
    };
    expect(reading(build)).toThrow('knows streaming Lambda integrations and mocks, got "HTTP_PROXY"');
  });

  it('has another kind of authorization', () => {
    const build = (stack: Stack) => {
      const api = new apigateway.RestApi(stack, 'Api', { cloudWatchRole: false });
      api.root.addMethod('GET', undefined, { authorizationType: apigateway.AuthorizationType.IAM });
    };
    expect(reading(build)).toThrow('authorization types CUSTOM and NONE, got "AWS_IAM"');
  });
});
