import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CustomResource, Duration, type Stack } from 'aws-cdk-lib';
import * as apigateway from 'aws-cdk-lib/aws-apigateway';
import * as lambda from 'aws-cdk-lib/aws-lambda';

/** Logical ids of the fixture's functions begin so. */
export const SERVE = 'Serve';
export const AUTHORIZE = 'Authorize';

/** A small REST API with one of everything that the front interprets. */
export function fixtureApi(stack: Stack): void {
  const code = lambda.Code.fromAsset(directoryWith('index.mjs', 'export const handler = () => {};'));
  const common = { runtime: lambda.Runtime.NODEJS_24_X, handler: 'index.handler', code };
  const layer = new lambda.LayerVersion(stack, 'Layer', {
    code: lambda.Code.fromAsset(directoryWith('policy.json', '{}')),
  });
  const bucket = new lambda.Function(stack, 'Other', common);
  const serve = new lambda.Function(stack, SERVE, {
    ...common,
    timeout: Duration.seconds(30),
    layers: [layer],
    environment: { LITERAL: 'as it is', POLICY_FILE: '/opt/policy.json', STORE_URL: `redis://${bucket.functionArn}` },
  });
  const authorize = new lambda.Function(stack, AUTHORIZE, common);

  const api = new apigateway.RestApi(stack, 'Api', {
    apiKeySourceType: apigateway.ApiKeySourceType.AUTHORIZER,
    deployOptions: { stageName: 'prod' },
    cloudWatchRole: false,
    binaryMediaTypes: ['multipart/form-data'],
  });
  const authorizer = new apigateway.TokenAuthorizer(stack, 'KeyAuthorizer', {
    handler: authorize,
    resultsCacheTtl: Duration.seconds(60),
    validationRegex: 'Bearer .+',
  });
  const integration = new apigateway.LambdaIntegration(serve, {
    responseTransferMode: apigateway.ResponseTransferMode.STREAM,
  });
  const options = { authorizer, apiKeyRequired: true };
  const v1 = api.root.addResource('v1');
  v1.addResource('chat').addMethod('POST', integration, {
    ...options,
    requestValidator: api.addRequestValidator('Body', { validateRequestBody: true }),
    requestModels: {
      'application/json': api.addModel('Chat', {
        contentType: 'application/json',
        schema: {
          type: apigateway.JsonSchemaType.OBJECT,
          required: ['model'],
          properties: {
            model: { type: apigateway.JsonSchemaType.STRING },
            share: { type: apigateway.JsonSchemaType.NUMBER, minimum: 0, exclusiveMinimum: true },
          },
        },
      }),
    },
  });
  const models = v1.addResource('models');
  models.addMethod('GET', integration, options);
  models.addResource('{model}').addMethod('GET', integration, options);
  api.root.addResource('healthz').addMethod(
    'GET',
    new apigateway.MockIntegration({
      integrationResponses: [{ statusCode: '200', responseTemplates: { 'application/json': '{"status":"ok"}' } }],
    }),
    { authorizationType: apigateway.AuthorizationType.NONE },
  );

  const error = (message: string) => ({ 'application/json': `{"error":{"message":${message}}}` });
  api.addGatewayResponse('Throttled', {
    type: apigateway.ResponseType.THROTTLED,
    statusCode: '429',
    responseHeaders: { 'retry-after': "'7'", 'x-request-id': 'context.requestId' },
    templates: error('"slower"'),
  });
  api.addGatewayResponse('InvalidBody', {
    type: apigateway.ResponseType.BAD_REQUEST_BODY,
    templates: error('"does not fit: $context.error.validationErrorString"'),
  });
  api.addGatewayResponse('ClientError', {
    type: apigateway.ResponseType.DEFAULT_4XX,
    templates: error('$context.error.messageString'),
  });

  const plan = api.addUsagePlan('Plan', {
    throttle: { rateLimit: 1, burstLimit: 2 },
    quota: { limit: 3, period: apigateway.Period.DAY },
    apiStages: [{ api, stage: api.deploymentStage }],
  });
  const key = new apigateway.ApiKey(stack, 'Key');
  plan.addApiKey(key);
  new CustomResource(stack, 'Registration', {
    resourceType: 'Custom::TenantKey',
    serviceToken: bucket.functionArn,
    properties: { TableName: 'table', KeyId: key.keyId, Tenant: 'acme', Plan: 'standard' },
  });
}

function directoryWith(file: string, text: string): string {
  const directory = mkdtempSync(join(tmpdir(), 'fixture-'));
  writeFileSync(join(directory, file), text);
  return directory;
}
