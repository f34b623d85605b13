import { CustomResource, Duration, type RemovalPolicy, Stack } from 'aws-cdk-lib';
import * as apigateway from 'aws-cdk-lib/aws-apigateway';
import * as iam from 'aws-cdk-lib/aws-iam';
import type * as kms from 'aws-cdk-lib/aws-kms';
import type * as logs from 'aws-cdk-lib/aws-logs';
import { Construct } from 'constructs';
import { HandlerFunction } from '../handlers/handler-function';
import type { InferencePolicy, Plan, Tenant } from '../policy/policy';
import { assertValidPolicy } from '../policy/validate';
import type { TenantDirectory } from '../security/tenant-directory';
import { usageKeyPrefix } from '../security/usage-key';

/** Properties of rate plans. */
export interface RatePlansProps {
  /** The policy whose plans and tenants these are. */
  readonly policy: InferencePolicy;

  /** The API that the plans are for. Its `apiKeySourceType` must be `AUTHORIZER`. */
  readonly restApi: apigateway.RestApi;

  /** Where the API's authorizer finds tenants by the hash of their key. */
  readonly tenants: TenantDirectory;

  /**
   * Encrypts the log of the function that registers keys.
   *
   * @default - encrypted by CloudWatch Logs' own key
   */
  readonly encryptionKey?: kms.IKey;

  /**
   * How long that log is kept.
   *
   * @default RetentionDays.THREE_MONTHS
   */
  readonly logRetention?: logs.RetentionDays;

  /**
   * What happens to that log when it leaves the stack.
   *
   * @default RemovalPolicy.RETAIN
   */
  readonly removalPolicy?: RemovalPolicy;
}

/**
 * A usage plan of API Gateway for each plan of the policy, and an API key for each tenant.
 *
 * The plans hold back floods before they cost a function; exact limits, tokens among them, are the gateway's. A key's
 * value is made by API Gateway, never in a template; at deployment a function reads it, and writes its hash, and nothing
 * else, where the authorizer looks.
 *
 * Where the policy trusts issuers, each tenant has a second key, its usage key, by which API Gateway counts requests that
 * bring a token. Its value is in the template: it opens nothing.
 */
export class RatePlans extends Construct {
  private readonly usagePlans: Record<string, apigateway.UsagePlan> = {};
  private readonly keys: Record<string, apigateway.ApiKey> = {};
  private readonly usageKeys: Record<string, apigateway.ApiKey> = {};

  constructor(scope: Construct, id: string, props: RatePlansProps) {
    super(scope, id);
    assertValidPolicy(props.policy, { plainKeysAllowed: false });
    for (const plan of props.policy.plans) {
      this.usagePlans[plan.name] = this.addUsagePlan(plan, props.restApi);
    }
    for (const tenant of props.policy.tenants) {
      const key = new apigateway.ApiKey(this, `Key-${tenant.name}`, { description: `Tenant ${tenant.name}` });
      this.usagePlans[tenant.plan]!.addApiKey(key);
      this.keys[tenant.name] = key;
      if (props.policy.issuers) this.usageKeys[tenant.name] = this.addUsageKey(tenant, props.restApi);
    }
    this.registerKeys(props);
  }

  /**
   * The usage plan of one of the policy's plans.
   *
   * @param plan name of the plan
   */
  public usagePlan(plan: string): apigateway.IUsagePlan {
    return found(this.usagePlans, 'plan', plan);
  }

  /**
   * The API key of one of the policy's tenants.
   *
   * @param tenant name of the tenant
   */
  public apiKey(tenant: string): apigateway.IApiKey {
    return found(this.keys, 'tenant', tenant);
  }

  /**
   * The key by which API Gateway counts the requests of a tenant's tokens. There are such keys where the policy has
   * issuers.
   *
   * @param tenant name of the tenant
   */
  public usageKey(tenant: string): apigateway.IApiKey {
    if (Object.keys(this.usageKeys).length === 0) {
      throw new Error(`usageKey("${tenant}"): the policy trusts no issuers, and so has no usage keys; give it issuers`);
    }
    return found(this.usageKeys, 'tenant', tenant);
  }

  /**
   * The command that prints a tenant's key, for those who may read it.
   *
   * @param tenant name of the tenant
   */
  public readKeyCommand(tenant: string): string {
    const id = this.apiKey(tenant).keyId;
    const { region } = Stack.of(this);
    return `aws apigateway get-api-key --api-key ${id} --include-value --query value --output text --region ${region}`;
  }

  private addUsagePlan(plan: Plan, restApi: apigateway.RestApi): apigateway.UsagePlan {
    return new apigateway.UsagePlan(this, `Plan-${plan.name}`, {
      description: `Plan ${plan.name}: ${plan.requestsPerMinute} requests and ${plan.tokensPerMinute} tokens per minute`,
      apiStages: [{ api: restApi, stage: restApi.deploymentStage }],
      throttle: floodLimit(plan.requestsPerMinute),
      quota:
        plan.requestsPerDay === undefined ? undefined : { limit: plan.requestsPerDay, period: apigateway.Period.DAY },
    });
  }

  private addUsageKey(tenant: Tenant, restApi: apigateway.RestApi): apigateway.ApiKey {
    const key = new apigateway.ApiKey(this, `UsageKey-${tenant.name}`, {
      description: `Usage of tokens, tenant ${tenant.name}`,
      value: usageKeyPrefix(restApi) + tenant.name,
    });
    this.usagePlans[tenant.plan]!.addApiKey(key);
    return key;
  }

  private registerKeys(props: RatePlansProps): void {
    const registrar = new HandlerFunction(this, 'Registrar', {
      handler: 'tenant-keys',
      description: "Writes the hashes of the tenants' keys where the authorizer looks",
      timeout: Duration.minutes(1),
      encryptionKey: props.encryptionKey,
      logRetention: props.logRetention,
      removalPolicy: props.removalPolicy,
    });
    registrar.role.addToPolicy(
      new iam.PolicyStatement({
        actions: ['apigateway:GET'],
        resources: Object.values(this.keys).map((key) => key.keyArn),
      }),
    );
    props.tenants.table.grant(registrar, 'dynamodb:PutItem', 'dynamodb:DeleteItem');
    // What DynamoDB asks of whoever writes to a table on a key, without the wildcards of `grantEncryptDecrypt`.
    props.tenants.table.encryptionKey?.grant(
      registrar,
      'kms:Encrypt',
      'kms:Decrypt',
      'kms:ReEncryptFrom',
      'kms:ReEncryptTo',
      'kms:GenerateDataKey',
      'kms:DescribeKey',
    );
    for (const tenant of props.policy.tenants) {
      const registration = new CustomResource(this, `Registration-${tenant.name}`, {
        resourceType: 'Custom::TenantKey',
        serviceToken: registrar.function.functionArn,
        properties: {
          TableName: props.tenants.table.tableName,
          KeyId: this.keys[tenant.name]!.keyId,
          Tenant: tenant.name,
          Plan: tenant.plan,
        },
      });
      // The role's policy: without it the first registration would be refused.
      registration.node.addDependency(registrar.role);
    }
  }
}

/**
 * Twice the plan, and at least 10 requests a second: API Gateway must not refuse what the gateway would admit, and its
 * refusals cannot say when to come back. At this rate «in a second» is true.
 */
function floodLimit(requestsPerMinute: number): apigateway.ThrottleSettings {
  return {
    rateLimit: Math.max(10, Math.ceil((2 * requestsPerMinute) / 60)),
    burstLimit: Math.max(20, 2 * requestsPerMinute),
  };
}

function found<T>(items: Record<string, T>, what: string, name: string): T {
  const item = items[name];
  if (item === undefined) {
    throw new Error(`${what} must be one of the policy's (${Object.keys(items).join(', ')}), got "${name}"`);
  }
  return item;
}
