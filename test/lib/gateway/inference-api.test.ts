import { describe, expect, it } from '@jest/globals';
import { Duration, NestedStack, Stack, Token } from 'aws-cdk-lib';
import { Match, Template } from 'aws-cdk-lib/assertions';
import { JsonSchemaType } from 'aws-cdk-lib/aws-apigateway';
import * as cognito from 'aws-cdk-lib/aws-cognito';
import * as events from 'aws-cdk-lib/aws-events';
import { Construct } from 'constructs';
import {
  HandlerFunction,
  InferenceApi,
  type InferenceApiProps,
  type InferencePolicy,
  ModelKind,
  RatePlans,
  ResponseCache,
} from '../../../lib';
import { usageKeyPrefix } from '../../../lib/security/usage-key';
import { POLICY, givenVpc, newStack, templateOf } from '../synthesise';

const URLS = {
  ...POLICY,
  backends: POLICY.backends.map(({ name }) => ({ name, url: `https://${name}.example.com:8443` })),
};

function addApi(stack: Stack, props: Partial<InferenceApiProps> = {}): InferenceApi {
  const vpc = givenVpc(stack);
  const store = new ResponseCache(stack, 'Store', { vpc });
  return new InferenceApi(stack, 'Api', { policy: URLS, vpc, store, ...props });
}

const methods = (template: Template) =>
  Object.values(template.findResources('AWS::ApiGateway::Method')).map(
    (method) => method.Properties as { HttpMethod: string; AuthorizationType: string; ApiKeyRequired?: boolean },
  );

describe('an inference API', () => {
  const template = templateOf((stack) => addApi(stack));

  it('streams every answer of the function, for as long as a backend may take', () => {
    const streaming = template.findResources('AWS::ApiGateway::Method', {
      Properties: { Integration: { Type: 'AWS_PROXY', ResponseTransferMode: 'STREAM', TimeoutInMillis: 900_000 } },
    });
    expect(Object.keys(streaming)).toHaveLength(5);
    template.hasResourceProperties('AWS::Lambda::Function', { Description: 'Serves inference requests', Timeout: 330 });
  });

  it('lets nobody in without a key, but the health check', () => {
    const open = methods(template).filter((method) => method.AuthorizationType !== 'CUSTOM');
    expect(open).toEqual([expect.objectContaining({ HttpMethod: 'GET', AuthorizationType: 'NONE' })]);
    for (const method of methods(template).filter((each) => each.AuthorizationType === 'CUSTOM')) {
      expect(method.ApiKeyRequired).toBe(true);
    }
    template.hasResourceProperties('AWS::ApiGateway::RestApi', { ApiKeySourceType: 'AUTHORIZER' });
    template.hasResourceProperties('AWS::ApiGateway::Authorizer', {
      Type: 'TOKEN',
      IdentitySource: 'method.request.header.Authorization',
      AuthorizerResultTtlInSeconds: 300,
    });
  });

  it('speaks TLS 1.3 and is regional', () => {
    template.hasResourceProperties('AWS::ApiGateway::RestApi', {
      SecurityPolicy: 'SecurityPolicy_TLS13_1_3_2025_09',
      EndpointAccessMode: 'STRICT',
      EndpointConfiguration: { Types: ['REGIONAL'] },
    });
  });

  it('answers its own errors as OpenAI error objects', () => {
    const responses = Object.values(template.findResources('AWS::ApiGateway::GatewayResponse'));
    expect(responses).toHaveLength(14);
    for (const { Properties } of responses) {
      const text = (Properties as { ResponseTemplates: Record<string, string> }).ResponseTemplates['application/json']!;
      const rendered = text
        .replace('$context.error.messageString', '"message"')
        .replace('$context.error.validationErrorString', 'detail');
      const { error } = JSON.parse(rendered) as { error: Record<string, unknown> };
      expect(error).toEqual({ message: expect.any(String), type: expect.any(String), param: null, code: error.code });
      expect([null, expect.any(String)]).toContainEqual(error.code);
    }
  });

  it('refuses a body without a model before it costs a function', () => {
    template.hasResourceProperties('AWS::ApiGateway::Model', {
      Schema: Match.objectLike({ title: 'ChatCompletion', required: ['model', 'messages'] }),
    });
    template.hasResourceProperties('AWS::ApiGateway::RequestValidator', { ValidateRequestBody: true });
  });

  it('has a route for services where the policy has one, and takes any object there', () => {
    const paths = (of: Template) =>
      Object.values(of.findResources('AWS::ApiGateway::Resource')).map(
        ({ Properties }) => (Properties as { PathPart: string }).PathPart,
      );
    expect(paths(template)).not.toContain('services');
    const models = [...URLS.models, { name: 'retrieval', kind: ModelKind.SERVICE, backends: ['backup'] }];
    const served = templateOf((stack) => addApi(stack, { policy: { ...URLS, models } }));
    expect(paths(served)).toEqual(expect.arrayContaining(['services', '{service}']));
    served.hasResourceProperties('AWS::ApiGateway::Model', {
      Schema: Match.objectEquals({
        $schema: 'http://json-schema.org/draft-04/schema#',
        title: 'ServiceCall',
        type: 'object',
      }),
    });
  });

  it('takes routes for other functions, for the same callers, and bodies that are no text where a route has them', () => {
    expect(
      template.findResources('AWS::ApiGateway::RestApi', { Properties: { BinaryMediaTypes: Match.anyValue() } }),
    ).toEqual({});
    const added = templateOf((stack) => {
      const api = addApi(stack);
      const schema = { title: 'Thing', type: JsonSchemaType.OBJECT, required: ['name'] };
      api.addRoutes(new HandlerFunction(stack, 'Things', { handler: 'tenant-keys', description: 'Keeps things' }), [
        { method: 'POST', path: '/v1/things', schema, binaryMediaTypes: ['multipart/form-data', 'image/png'] },
        { method: 'GET', path: '/v1/things/{thing}', binaryMediaTypes: ['image/png'] },
      ]);
    });
    added.hasResourceProperties('AWS::ApiGateway::RestApi', { BinaryMediaTypes: ['image/png', 'multipart/form-data'] });
    const ofThings = methods(added).filter((method) => JSON.stringify(method).includes('"Things'));
    expect(ofThings).toEqual([
      expect.objectContaining({
        HttpMethod: 'POST',
        RequestModels: { 'application/json': expect.anything() as object },
      }),
      expect.objectContaining({ HttpMethod: 'GET' }),
    ]);
    for (const method of ofThings) {
      expect(method).toMatchObject({ AuthorizationType: 'CUSTOM', ApiKeyRequired: true });
      expect(method).toMatchObject({ Integration: { ResponseTransferMode: 'STREAM' }, RequestValidatorId: {} });
    }
    added.hasResourceProperties('AWS::ApiGateway::Model', { Schema: { title: 'Thing', required: ['name'] } });
  });

  it('logs who called, and neither key nor body', () => {
    template.hasResourceProperties('AWS::ApiGateway::Stage', {
      AccessLogSetting: { Format: Match.serializedJson(Match.objectLike({ tenant: '$context.authorizer.tenant' })) },
      MethodSettings: [Match.objectLike({ DataTraceEnabled: false, LoggingLevel: 'ERROR', MetricsEnabled: true })],
      TracingEnabled: true,
    });
  });

  it('lets the function reach its store, its backends and AWS services, and nothing else', () => {
    const [group] = Object.values(
      template.findResources('AWS::EC2::SecurityGroup', {
        Properties: { GroupDescription: 'Serves inference requests' },
      }),
    );
    expect((group!.Properties as { SecurityGroupEgress: unknown[] }).SecurityGroupEgress).toEqual([
      expect.objectContaining({ FromPort: 443, ToPort: 443, CidrIp: '0.0.0.0/0' }),
      expect.objectContaining({ FromPort: 8443, ToPort: 8443, CidrIp: '0.0.0.0/0' }),
    ]);
    template.hasResourceProperties('AWS::EC2::SecurityGroupEgress', { FromPort: 6380, ToPort: 6380 });
  });

  it('lets the authorizer read one table, item by item', () => {
    template.hasResourceProperties('AWS::IAM::Policy', {
      PolicyDocument: { Statement: Match.arrayWith([Match.objectLike({ Action: 'dynamodb:GetItem' })]) },
    });
  });

  const putsEventsOn = (bus: unknown) => ({
    PolicyDocument: {
      Statement: Match.arrayWith([Match.objectLike({ Effect: 'Allow', Action: 'events:PutEvents', Resource: bus })]),
    },
  });
  const inference = { Description: 'Serves inference requests' };

  it('tells the default event bus of its breakers, and may put events on no other', () => {
    const bus = { 'Fn::Join': ['', Match.arrayWith([':event-bus/default'])] };
    template.hasResourceProperties('AWS::IAM::Policy', putsEventsOn(bus));
    template.hasResourceProperties('AWS::Lambda::Function', {
      ...inference,
      Environment: { Variables: Match.objectLike({ EVENT_BUS: bus }) },
    });
  });

  it('tells a given event bus instead', () => {
    const stack = newStack();
    const bus = new events.EventBus(stack, 'Bus');
    const given = addApi(stack, { eventBus: bus }).inference;
    const arn = { 'Fn::GetAtt': [Match.stringLikeRegexp('^Bus'), 'Arn'] };
    const ours = Template.fromStack(stack);
    ours.hasResourceProperties('AWS::IAM::Policy', putsEventsOn(arn));
    ours.hasResourceProperties('AWS::Lambda::Function', {
      ...inference,
      Environment: { Variables: Match.objectLike({ EVENT_BUS: arn }) },
    });
    expect(given.eventBus).toBe(bus);
  });

  it('reaches EventBridge beside its backends, and each port by one rule', () => {
    const egressOf = (policy: typeof URLS) => {
      const [group] = Object.values(
        templateOf((stack) => addApi(stack, { policy })).findResources('AWS::EC2::SecurityGroup', {
          Properties: { GroupDescription: 'Serves inference requests' },
        }),
      );
      const { SecurityGroupEgress: rules } = group!.Properties as {
        SecurityGroupEgress: { FromPort: number; Description: string }[];
      };
      return rules.map(({ FromPort, Description }) => [FromPort, Description]);
    };
    expect(egressOf(URLS)).toEqual([
      [443, 'EventBridge'],
      [8443, 'Backends by their url'],
    ]);
    const backends = POLICY.backends.map(({ name }) => ({ name, url: `https://${name}.example.com` }));
    expect(egressOf({ ...POLICY, backends })).toEqual([[443, 'EventBridge, backends by their url']]);
  });

  it('counts breakers of all backends together, and of one where that is asked for', () => {
    const { inference: fn } = addApi(newStack());
    const { serviceName, backendNames } = fn;
    expect(backendNames).toEqual(['gpu', 'backup']);
    const metrics = [fn.metricBreakerOpened(), fn.metricBreakerHalfOpen(), fn.metricBreakerClosed(), fn.metricHedges()];
    expect(metrics.map(({ metricName }) => metricName)).toEqual([
      ...['BreakerOpened', 'BreakerHalfOpen', 'BreakerClosed', 'Hedges'],
    ]);
    for (const metric of metrics) {
      expect(metric).toMatchObject({
        namespace: 'InferencePlatform',
        dimensions: { Service: serviceName },
        statistic: 'Sum',
      });
    }
    const dimensionsMap = { Service: serviceName, Backend: 'gpu' };
    expect(fn.metricBreakerOpened({ dimensionsMap }).dimensions).toEqual(dimensionsMap);
  });

  it.each([
    [{ endpoints: { tpu: {} as never } }, 'endpoints must name backends of the policy (gpu, backup), got "tpu"'],
    [{ policy: POLICY }, 'backends "gpu" has neither a url in the policy nor an entry in endpoints: give one of them'],
    [
      { endpoints: { gpu: {} as never } },
      'backends "gpu" has both a url in the policy and an entry in endpoints: give one of them',
    ],
    [{ storeTimeout: Duration.millis(1) }, 'storeTimeout must be from 5 ms to 5 s, got 1 ms'],
    [{ keyCacheTtl: Duration.hours(2) }, 'keyCacheTtl must be at most 1 hour, got 7200 s'],
  ])('refuses %j', (props, message) => {
    expect(() => addApi(newStack(), props)).toThrow(message);
  });

  it('says at synth when the addresses known at deployment only are too many', () => {
    const stack = newStack();
    const backends = Array.from({ length: 40 }, (_, index) => ({
      name: `backend-${index}`,
      url: Token.asString({ Ref: `Url${index}` }),
    }));
    const models = [{ name: 'qwen3-8b', backends: backends.map(({ name }) => name) }];
    expect(() => addApi(stack, { policy: { ...POLICY, backends, models } })).toThrow(
      /^backends whose address or model is known at deployment only must fit into 4096 bytes of environment, got about \d+/,
    );
  });
});

describe('an inference API that trusts issuers', () => {
  const issuers = [{ issuer: 'https://login.example.com:8443', audience: 'inference' }];
  const functionOf = (template: Template) => {
    const [found] = Object.values(
      template.findResources('AWS::Lambda::Function', {
        Properties: { Description: 'Finds the tenant of an API key' },
      }),
    );
    return found!.Properties as { Layers?: unknown[]; Environment: { Variables: Record<string, unknown> } };
  };
  const build = (policy: InferencePolicy, stack = newStack()) => {
    const api = addApi(stack, { policy });
    const plans = new RatePlans(stack, 'Plans', { policy, restApi: api.restApi, tenants: api.tenants });
    return { plans, template: Template.fromStack(stack) };
  };

  it('brings the policy to the authorizer, and opens the issuer’s port', () => {
    const { template } = build({ ...URLS, issuers });
    const { Layers, Environment } = functionOf(template);
    expect(Layers).toEqual([{ Ref: expect.stringMatching(/PolicyLayer/) }]);
    template.resourceCountIs('AWS::Lambda::LayerVersion', 1);
    expect(Environment.Variables).not.toHaveProperty('TOKEN_ISSUERS');
    const [group] = Object.values(
      template.findResources('AWS::EC2::SecurityGroup', {
        Properties: { GroupDescription: 'Finds the tenant of an API key' },
      }),
    );
    const { SecurityGroupEgress } = group!.Properties as { SecurityGroupEgress: { FromPort: number }[] };
    expect(SecurityGroupEgress.map(({ FromPort }) => FromPort).sort()).toEqual([443, 8443]);
  });

  it('gives each tenant a usage key on its plan, of the value that the authorizer names', () => {
    const { plans, template } = build({ ...URLS, issuers });
    const prefix = functionOf(template).Environment.Variables.USAGE_KEY_PREFIX;
    expect(prefix).toMatch(/^usage-[0-9a-f]{24}-$/);
    template.hasResourceProperties('AWS::ApiGateway::ApiKey', { Value: `${String(prefix)}acme`, Enabled: true });
    template.resourceCountIs('AWS::ApiGateway::ApiKey', 2);
    const planOf = (id: unknown) =>
      Object.values(template.findResources('AWS::ApiGateway::UsagePlanKey'))
        .map(({ Properties }) => Properties as { KeyId: unknown; UsagePlanId: unknown })
        .find(({ KeyId }) => JSON.stringify(KeyId) === JSON.stringify(id))?.UsagePlanId;
    const ids = [plans.apiKey('acme'), plans.usageKey('acme')].map(
      ({ keyId }) => Stack.of(plans).resolve(keyId) as object,
    );
    expect(planOf(ids[1])).toBeDefined();
    expect(planOf(ids[1])).toEqual(planOf(ids[0]));
    expect(() => plans.usageKey('initech')).toThrow(`tenant must be one of the policy's (acme), got "initech"`);
  });

  it('gives no two APIs of an account and region the same usage keys', () => {
    const prefixes = [
      new Stack(undefined, 'One'),
      new Stack(undefined, 'One', { stackName: 'other' }),
      new NestedStack(new Stack(undefined, 'Two'), 'Inner'),
      new NestedStack(new Stack(undefined, 'Three'), 'Inner'),
    ].map((stack) => {
      const prefix = usageKeyPrefix(new Construct(stack, 'Api'));
      expect(usageKeyPrefix(new Construct(stack, 'Other'))).not.toBe(prefix);
      return prefix;
    });
    expect(new Set(prefixes).size).toBe(4);
    expect(prefixes.join()).not.toContain('Token');
  });

  it('may trust a user pool of the same app, whose address only the deployment knows', () => {
    const stack = newStack();
    const pool = new cognito.UserPool(stack, 'Pool');
    const client = pool.addClient('Client');
    const deployed = {
      issuer: pool.userPoolProviderUrl,
      audience: client.userPoolClientId,
      tenantClaim: 'custom:tenant',
    };
    const { template } = build({ ...URLS, issuers: [...issuers, deployed] }, stack);
    const written = template.findResources('AWS::Lambda::LayerVersion', {
      Metadata: { InferencePolicy: Match.objectLike({ issuers }) },
    });
    expect(Object.keys(written)).toHaveLength(1);
    const { TOKEN_ISSUERS } = functionOf(template).Environment.Variables as {
      TOKEN_ISSUERS: { 'Fn::Join': [string, (string | Record<string, unknown>)[]] };
    };
    const values = { ProviderURL: 'https://cognito.example/pool' };
    const text = TOKEN_ISSUERS['Fn::Join'][1]
      .map((part) => (typeof part === 'string' ? part : 'Ref' in part ? 'client-id' : values.ProviderURL))
      .join('');
    expect(JSON.parse(text)).toEqual([
      { issuer: 'https://cognito.example/pool', audience: 'client-id', tenantClaim: 'custom:tenant' },
    ]);
  });

  it('changes nothing where there are none', () => {
    const { template, plans } = build(URLS);
    const { Layers, Environment } = functionOf(template);
    expect(Layers).toBeUndefined();
    expect(Object.keys(Environment.Variables).sort()).toEqual([
      ...['METRICS_NAMESPACE', 'NODE_OPTIONS', 'SERVICE_NAME', 'TABLE_NAME'],
    ]);
    template.resourceCountIs('AWS::ApiGateway::ApiKey', 1);
    expect(() => plans.usageKey('acme')).toThrow('the policy trusts no issuers');
  });
});

describe('rate plans', () => {
  const stack = newStack();
  const policy = {
    ...URLS,
    plans: [
      { name: 'standard', requestsPerMinute: 600, tokensPerMinute: 200_000, requestsPerDay: 5000 },
      { name: 'small', requestsPerMinute: 2, tokensPerMinute: 1000 },
    ],
    tenants: [
      { name: 'acme', plan: 'standard' },
      { name: 'globex', plan: 'small' },
    ],
  };
  const api = addApi(stack, { policy });
  const plans = new RatePlans(stack, 'Plans', { policy, restApi: api.restApi, tenants: api.tenants });
  const template = Template.fromStack(stack);

  it('hold back floods, and leave the exact limit to the gateway', () => {
    template.hasResourceProperties('AWS::ApiGateway::UsagePlan', {
      Throttle: { RateLimit: 20, BurstLimit: 1200 },
      Quota: { Limit: 5000, Period: 'DAY' },
    });
    template.hasResourceProperties('AWS::ApiGateway::UsagePlan', { Throttle: { RateLimit: 10, BurstLimit: 20 } });
  });

  it('give each tenant a key whose value stands nowhere in the template', () => {
    const keys = Object.values(template.findResources('AWS::ApiGateway::ApiKey'));
    expect(keys).toHaveLength(2);
    for (const key of keys) expect(key.Properties).not.toHaveProperty('Value');
    template.resourceCountIs('AWS::ApiGateway::UsagePlanKey', 2);
  });

  it('register the keys by a function that may read those keys only', () => {
    template.hasResourceProperties('Custom::TenantKey', { Tenant: 'globex', Plan: 'small' });
    template.hasResourceProperties('AWS::IAM::Policy', {
      PolicyDocument: {
        Statement: Match.arrayWith([
          Match.objectLike({ Action: 'apigateway:GET', Resource: [Match.anyValue(), Match.anyValue()] }),
          Match.objectLike({ Action: ['dynamodb:DeleteItem', 'dynamodb:PutItem'] }),
        ]),
      },
    });
  });

  it('say how to read a key, and which tenants there are', () => {
    expect(plans.readKeyCommand('acme')).toMatch(/^aws apigateway get-api-key --api-key \S+ --include-value/);
    expect(plans.usagePlan('small').usagePlanId).toBeDefined();
    expect(() => plans.apiKey('initech')).toThrow(`tenant must be one of the policy's (acme, globex), got "initech"`);
  });
});
