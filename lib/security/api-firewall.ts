import { Aws, Fn, RemovalPolicy } from 'aws-cdk-lib';
import type * as kms from 'aws-cdk-lib/aws-kms';
import * as logs from 'aws-cdk-lib/aws-logs';
import * as wafv2 from 'aws-cdk-lib/aws-wafv2';
import { Construct } from 'constructs';

/** Properties of an API's firewall. */
export interface ApiFirewallProps {
  /**
   * Requests of one IP address in five minutes, 10 to 2,000,000,000, before it is blocked for the rest of them. A
   * guard against floods; the plans are what limits a tenant.
   *
   * @default 10000
   */
  readonly requestsPerAddress?: number;

  /**
   * Encrypts the firewall's log. Its policy must let CloudWatch Logs use it, as `PlatformKey` does.
   *
   * @default - encrypted by CloudWatch Logs' own key
   */
  readonly encryptionKey?: kms.IKey;

  /**
   * How long the firewall's log is kept.
   *
   * @default RetentionDays.THREE_MONTHS
   */
  readonly logRetention?: logs.RetentionDays;

  /**
   * What happens to the log when it leaves the stack.
   *
   * @default RemovalPolicy.RETAIN
   */
  readonly removalPolicy?: RemovalPolicy;
}

/**
 * Rules of the managed groups that look for attack patterns in a request's body. A prompt is text about anything, code
 * and markup included, and mostly longer than 8 kB: these rules count, and do not block. What they look for cannot reach
 * an interpreter, since the gateway only ever parses a body as JSON, or takes the file out of a form. They count on every
 * path: what a prompt may say to `/v1/chat/completions`, a line of an uploaded file may say as well.
 */
const BODY_RULES: Record<string, string[]> = {
  AWSManagedRulesCommonRuleSet: [
    'SizeRestrictions_BODY',
    'CrossSiteScripting_BODY',
    'GenericLFI_BODY',
    'GenericRFI_BODY',
    'EC2MetaDataSSRF_BODY',
  ],
  AWSManagedRulesKnownBadInputsRuleSet: ['JavaDeserializationRCE_BODY', 'Log4JRCE_BODY', 'ReactJSRCE_BODY'],
  AWSManagedRulesAmazonIpReputationList: [],
};

/**
 * A web application firewall for a regional API: AWS's managed rules, tuned for prompts, and a limit on the requests of
 * one address. It logs what it stopped or counted, without the `authorization` header.
 */
export class ApiFirewall extends Construct {
  /** The web ACL. */
  public readonly webAcl: wafv2.CfnWebACL;

  /** Where the firewall logs. */
  public readonly logGroup: logs.LogGroup;

  constructor(scope: Construct, id: string, props: ApiFirewallProps = {}) {
    super(scope, id);
    const limit = props.requestsPerAddress ?? 10_000;
    if (!Number.isInteger(limit) || limit < 10 || limit > 2_000_000_000) {
      throw new Error(`requestsPerAddress must be a whole number from 10 to 2000000000, got ${limit}`);
    }

    const managed = Object.entries(BODY_RULES).map(([name, bodyRules], index) => managedRule(name, bodyRules, index));
    this.webAcl = new wafv2.CfnWebACL(this, 'WebAcl', {
      scope: 'REGIONAL',
      defaultAction: { allow: {} },
      visibilityConfig: visibility('ApiFirewall'),
      rules: [
        ...managed,
        {
          name: 'RequestsPerAddress',
          priority: managed.length,
          action: { block: { customResponse: { responseCode: 429, customResponseBodyKey: 'TooManyRequests' } } },
          statement: { rateBasedStatement: { aggregateKeyType: 'IP', limit } },
          visibilityConfig: visibility('RequestsPerAddress'),
        },
      ],
      customResponseBodies: {
        TooManyRequests: {
          contentType: 'APPLICATION_JSON',
          content: JSON.stringify({
            error: {
              message: 'Too many requests from this address. Try again in five minutes.',
              type: 'rate_limit_exceeded',
              param: null,
              code: 'rate_limit_exceeded',
            },
          }),
        },
      },
    });

    this.logGroup = new logs.LogGroup(this, 'Log', {
      // The service demands the prefix. The stack's own id makes the name unique, also after a stack was deleted and
      // its log was retained.
      logGroupName: `aws-waf-logs-${Fn.select(2, Fn.split('/', Aws.STACK_ID))}-${this.node.addr.slice(-8)}`,
      encryptionKey: props.encryptionKey,
      retention: props.logRetention ?? logs.RetentionDays.THREE_MONTHS,
      removalPolicy: props.removalPolicy ?? RemovalPolicy.RETAIN,
    });
    new wafv2.CfnLoggingConfiguration(this, 'Logging', {
      resourceArn: this.webAcl.attrArn,
      logDestinationConfigs: [this.logGroup.logGroupArn],
      redactedFields: [{ singleHeader: { Name: 'authorization' } }],
      loggingFilter: {
        DefaultBehavior: 'DROP',
        Filters: [
          {
            Behavior: 'KEEP',
            Requirement: 'MEETS_ANY',
            Conditions: [{ ActionCondition: { Action: 'BLOCK' } }, { ActionCondition: { Action: 'COUNT' } }],
          },
        ],
      },
    });
  }

  /**
   * Puts the firewall before a resource.
   *
   * @param id id of the association
   * @param resourceArn ARN of an API stage or load balancer
   */
  public protect(id: string, resourceArn: string): void {
    new wafv2.CfnWebACLAssociation(this, id, { resourceArn, webAclArn: this.webAcl.attrArn });
  }
}

function managedRule(name: string, bodyRules: string[], priority: number): wafv2.CfnWebACL.RuleProperty {
  return {
    name,
    priority,
    overrideAction: { none: {} },
    statement: {
      managedRuleGroupStatement: {
        vendorName: 'AWS',
        name,
        ruleActionOverrides: bodyRules.map((rule) => ({ name: rule, actionToUse: { count: {} } })),
      },
    },
    visibilityConfig: visibility(name),
  };
}

function visibility(metricName: string): wafv2.CfnWebACL.VisibilityConfigProperty {
  return { cloudWatchMetricsEnabled: true, sampledRequestsEnabled: true, metricName };
}
