import { Duration, Lazy, RemovalPolicy, Stack, Token } from 'aws-cdk-lib';
import * as apigateway from 'aws-cdk-lib/aws-apigateway';
import * as cloudwatch from 'aws-cdk-lib/aws-cloudwatch';
import * as ec2 from 'aws-cdk-lib/aws-ec2';
import * as logs from 'aws-cdk-lib/aws-logs';
import { Construct } from 'constructs';
import { isDeployTimeIssuer } from '../handlers/deploy-time-values';
import { HandlerFunction } from '../handlers/handler-function';
import type { ApiRoute, IInferenceGateway } from '../handlers/inference-gateway';
import type { ModelAccess } from '../handlers/model-access';
import type { TokenIssuer } from '../policy/policy';
import { ModelKind } from '../policy/model';
import { acknowledge } from '../security/acknowledge';
import { ApiFirewall } from '../security/api-firewall';
import { TenantDirectory } from '../security/tenant-directory';
import { usageKeyPrefix } from '../security/usage-key';
import { addErrorResponses } from './error-responses';
import { InferenceFunction, type InferenceFunctionProps } from './inference-function';
import { CHAT_COMPLETION, COMPLETION, EMBEDDING, SERVICE_CALL } from './request-models';

/** Properties of an inference API. */
export interface InferenceApiProps extends InferenceFunctionProps {
  /**
   * Who may call.
   *
   * @default - a new directory
   */
  readonly tenants?: TenantDirectory;

  /**
   * How long API Gateway remembers that a key or token is good, at most 1 hour. A revoked one works that much longer; a
   * token never beyond its expiry.
   *
   * @default Duration.minutes(5)
   */
  readonly keyCacheTtl?: Duration;

  /**
   * The firewall before the API.
   *
   * @default - a new one, with its defaults
   */
  readonly firewall?: ApiFirewall;

  /**
   * Whether to make the role by which API Gateway writes its logs, a setting of the account and region. Turn it off
   * where something else in the account has set it.
   *
   * @default true
   */
  readonly cloudWatchRole?: boolean;
}

/**
 * The one entry: a regional REST API that speaks the OpenAI protocol. It authenticates by Bearer key, and by the tokens
 * (JWT) of the policy's issuers, holds each tenant to its usage plan, validates, and streams what the inference function
 * answers.
 *
 * Usage plans come from `RatePlans`; a request whose tenant has none is refused.
 */
export class InferenceApi extends Construct implements IInferenceGateway {
  /** The API. */
  public readonly restApi: apigateway.RestApi;

  /** Who may call. */
  public readonly tenants: TenantDirectory;

  /** How functions compute answers as the API's own function does. */
  public readonly models: ModelAccess;

  /** The function that serves the requests. */
  public readonly inference: InferenceFunction;

  /** The function that checks keys and tokens. */
  public readonly authorizer: HandlerFunction;

  /** The firewall before the API. */
  public readonly firewall: ApiFirewall;

  /** The access log, one JSON line a request. */
  public readonly accessLog: logs.LogGroup;

  /** What an OpenAI client takes as its base URL. */
  public readonly baseUrl: string;

  private readonly callers: apigateway.MethodOptions;
  private readonly binaryMediaTypes = new Set<string>();

  constructor(scope: Construct, id: string, props: InferenceApiProps) {
    super(scope, id);
    const { encryptionKey, logRetention, removalPolicy } = props;
    const keyCacheTtl = props.keyCacheTtl ?? Duration.minutes(5);
    if (keyCacheTtl.toSeconds() > 3600) {
      throw new Error(`keyCacheTtl must be at most 1 hour, got ${keyCacheTtl.toSeconds()} s`);
    }

    this.inference = new InferenceFunction(this, 'Inference', props);
    this.models = this.inference.models;
    this.tenants = props.tenants ?? new TenantDirectory(this, 'Tenants', { encryptionKey });
    this.accessLog = new logs.LogGroup(this, 'AccessLog', {
      encryptionKey,
      retention: logRetention ?? logs.RetentionDays.THREE_MONTHS,
      removalPolicy: removalPolicy ?? RemovalPolicy.RETAIN,
    });
    this.restApi = this.addApi(props.cloudWatchRole ?? true);
    this.authorizer = this.addAuthorizer(props);
    addErrorResponses(this.restApi);
    const validator = this.restApi.addRequestValidator('Body', {
      validateRequestBody: true,
      validateRequestParameters: true,
    });
    this.callers = this.holdersOfKeys(keyCacheTtl, validator);
    const hasServices = props.policy.models.some(({ kind }) => kind === ModelKind.SERVICE);
    this.addRoutes(this.inference.handler, [
      { method: 'POST', path: '/v1/chat/completions', schema: CHAT_COMPLETION },
      { method: 'POST', path: '/v1/completions', schema: COMPLETION },
      { method: 'POST', path: '/v1/embeddings', schema: EMBEDDING },
      ...(hasServices ? [{ method: 'POST', path: '/v1/services/{service}', schema: SERVICE_CALL }] : []),
      { method: 'GET', path: '/v1/models' },
      { method: 'GET', path: '/v1/models/{model}' },
    ]);
    this.addHealthCheck(validator);
    this.baseUrl = this.restApi.urlForPath('/v1');

    this.firewall = props.firewall ?? new ApiFirewall(this, 'Firewall', { encryptionKey, logRetention, removalPolicy });
    this.firewall.protect('ApiStage', this.restApi.deploymentStage.stageArn);
  }

  /**
   * Has a function answer routes of the API: for holders of a key or token, under their usage plans, with the body
   * checked against the route's schema, and streamed.
   *
   * @param handler a function of the API's own stack, since API and function refer to each other
   * @param routes the routes
   */
  public addRoutes(handler: HandlerFunction, routes: ApiRoute[]): void {
    if (Stack.of(handler) !== Stack.of(this)) {
      throw new Error(
        `handler must be in the stack of the API ("${Stack.of(this).node.path}"), got "${handler.node.path}": ` +
          'API and function refer to each other, which stacks cannot',
      );
    }
    const integration = new apigateway.LambdaIntegration(handler.function, {
      responseTransferMode: apigateway.ResponseTransferMode.STREAM,
      timeout: Duration.seconds(900),
      // The console's test button would reach the function past the authorizer.
      allowTestInvoke: false,
    });
    for (const { method, path, schema, binaryMediaTypes } of routes) {
      for (const type of binaryMediaTypes ?? []) this.binaryMediaTypes.add(type);
      const requestModels = schema && {
        'application/json': this.restApi.addModel(schema.title!, { contentType: 'application/json', schema }),
      };
      const options = { ...this.callers, ...(requestModels && { requestModels }) };
      const added = this.restApi.root.resourceForPath(path).addMethod(method, integration, options);
      acknowledge(added, {
        'AwsSolutions-COG4':
          'Clients of the OpenAI protocol authenticate by Bearer key; a Lambda authorizer checks it.',
      });
    }
  }

  /** Answers with a 5xx status. */
  public metricServerErrors(props?: cloudwatch.MetricOptions): cloudwatch.Metric {
    return this.restApi.metricServerError(props);
  }

  /** Answers with a 4xx status. */
  public metricClientErrors(props?: cloudwatch.MetricOptions): cloudwatch.Metric {
    return this.restApi.metricClientError(props);
  }

  /** Milliseconds from the first byte of a request to the last byte of its answer. */
  public metricLatency(props?: cloudwatch.MetricOptions): cloudwatch.Metric {
    return this.restApi.metricLatency(props);
  }

  /** Number of requests. */
  public metricCount(props?: cloudwatch.MetricOptions): cloudwatch.Metric {
    return this.restApi.metricCount(props);
  }

  /** Callers that were turned away: no key or token, or none that is known or valid. */
  public metricUnauthorized(props?: cloudwatch.MetricOptions): cloudwatch.Metric {
    return new cloudwatch.Metric({
      namespace: this.inference.metricsNamespace,
      metricName: 'Unauthorized',
      dimensionsMap: { Service: this.inference.serviceName },
      statistic: cloudwatch.Stats.SUM,
      ...props,
    }).attachTo(this);
  }

  private addAuthorizer(props: InferenceApiProps): HandlerFunction {
    const issuers = props.policy.issuers ?? [];
    const authorizer = new HandlerFunction(this, 'Authorizer', {
      handler: 'authorizer',
      description: 'Finds the tenant of an API key',
      vpc: props.vpc,
      environment: {
        TABLE_NAME: this.tenants.table.tableName,
        METRICS_NAMESPACE: this.inference.metricsNamespace,
        SERVICE_NAME: this.inference.serviceName,
        ...(issuers.length > 0 && this.tokenEnvironment(issuers)),
      },
      layers: issuers.length > 0 ? [this.inference.policyLayer.layer] : undefined,
      encryptionKey: props.encryptionKey,
      logRetention: props.logRetention,
      removalPolicy: props.removalPolicy,
    });
    this.tenants.table.grant(authorizer, 'dynamodb:GetItem');
    this.tenants.table.encryptionKey?.grantDecrypt(authorizer);
    authorizer.connections.allowToAnyIpv4(ec2.Port.tcp(443), 'DynamoDB, by the gateway endpoint of the network');
    for (const port of portsOf(issuers)) {
      authorizer.connections.allowToAnyIpv4(ec2.Port.tcp(port), 'Token issuers');
    }
    return authorizer;
  }

  /** What verifies tokens needs beside the policy: how usage keys are called, and what the policy's file cannot hold. */
  private tokenEnvironment(issuers: readonly TokenIssuer[]): Record<string, string> {
    const deployed = issuers.filter(isDeployTimeIssuer);
    return {
      USAGE_KEY_PREFIX: usageKeyPrefix(this.restApi),
      ...(deployed.length > 0 && { TOKEN_ISSUERS: Stack.of(this).toJsonString(deployed) }),
    };
  }

  private addApi(cloudWatchRole: boolean): apigateway.RestApi {
    const api = new apigateway.RestApi(this, 'Api', {
      description: 'OpenAI-compatible entry of the inference platform',
      endpointTypes: [apigateway.EndpointType.REGIONAL],
      apiKeySourceType: apigateway.ApiKeySourceType.AUTHORIZER,
      cloudWatchRole,
      cloudWatchRoleRemovalPolicy: cloudWatchRole ? RemovalPolicy.RETAIN : undefined,
      deployOptions: {
        stageName: 'prod',
        tracingEnabled: true,
        metricsEnabled: true,
        loggingLevel: apigateway.MethodLoggingLevel.ERROR,
        dataTraceEnabled: false,
        accessLogDestination: new apigateway.LogGroupLogDestination(this.accessLog),
        accessLogFormat: ACCESS_LOG_FORMAT,
      },
    });
    const resource = api.node.defaultChild as apigateway.CfnRestApi;
    resource.securityPolicy = apigateway.SecurityPolicy.TLS13_1_3_2025_09;
    resource.endpointAccessMode = apigateway.EndpointAccessMode.STRICT;
    resource.binaryMediaTypes = Lazy.list({ produce: () => [...this.binaryMediaTypes].sort() }, { omitEmpty: true });
    if (cloudWatchRole) {
      acknowledge(api.node.findChild('CloudWatchRole'), {
        'AwsSolutions-IAM4[Policy::arn:<AWS::Partition>:iam::aws:policy/service-role/AmazonAPIGatewayPushToCloudWatchLogs]':
          'API Gateway accepts this managed policy for the account-wide log role; it writes logs and nothing else.',
      });
    }
    return api;
  }

  private holdersOfKeys(
    keyCacheTtl: Duration,
    requestValidator: apigateway.IRequestValidator,
  ): apigateway.MethodOptions {
    const authorizer = new apigateway.TokenAuthorizer(this, 'KeyAuthorizer', {
      handler: this.authorizer.function,
      identitySource: 'method.request.header.Authorization',
      resultsCacheTtl: keyCacheTtl,
    });
    const authorizationType = apigateway.AuthorizationType.CUSTOM;
    return { authorizer, authorizationType, apiKeyRequired: true, requestValidator };
  }

  /** Answered by API Gateway itself: says that the entry stands, costs nothing and tells nothing. */
  private addHealthCheck(validator: apigateway.IRequestValidator): void {
    const method = this.restApi.root.addResource('healthz').addMethod(
      'GET',
      new apigateway.MockIntegration({
        requestTemplates: { 'application/json': '{"statusCode":200}' },
        integrationResponses: [{ statusCode: '200', responseTemplates: { 'application/json': '{"status":"ok"}' } }],
      }),
      {
        authorizationType: apigateway.AuthorizationType.NONE,
        requestValidator: validator,
        methodResponses: [{ statusCode: '200' }],
      },
    );
    const reason =
      'A health check for load balancers and monitors, which hold no key; a fixed text, without a backend.';
    acknowledge(method, { 'AwsSolutions-APIG4': reason, 'AwsSolutions-COG4': reason });
  }
}

/** The ports of issuers and their keys, but for HTTPS's own, which is open anyway. */
function portsOf(issuers: readonly TokenIssuer[]): Set<number> {
  const addresses = issuers.flatMap(({ issuer, jwksUrl }) => [issuer, jwksUrl ?? issuer]);
  const ports = addresses.map((address) => (Token.isUnresolved(address) ? '' : new URL(address).port));
  return new Set(ports.filter((port) => port !== '').map(Number));
}

const ACCESS_LOG_FORMAT = apigateway.AccessLogFormat.custom(
  JSON.stringify({
    requestId: apigateway.AccessLogField.contextRequestId(),
    time: apigateway.AccessLogField.contextRequestTimeEpoch(),
    ip: apigateway.AccessLogField.contextIdentitySourceIp(),
    method: apigateway.AccessLogField.contextHttpMethod(),
    path: apigateway.AccessLogField.contextPath(),
    status: apigateway.AccessLogField.contextStatus(),
    tenant: apigateway.AccessLogField.contextAuthorizer('tenant'),
    plan: apigateway.AccessLogField.contextAuthorizer('plan'),
    latencyMs: apigateway.AccessLogField.contextResponseLatency(),
    responseLength: apigateway.AccessLogField.contextResponseLength(),
    error: apigateway.AccessLogField.contextErrorResponseType(),
    firewall: apigateway.AccessLogField.contextWafResponseCode(),
    traceId: apigateway.AccessLogField.contextXrayTraceId(),
  }),
);
