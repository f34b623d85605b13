import { ArnFormat, type Duration, RemovalPolicy, Stack } from 'aws-cdk-lib';
import * as iam from 'aws-cdk-lib/aws-iam';
import * as kms from 'aws-cdk-lib/aws-kms';
import type { Construct } from 'constructs';

/** Properties of a platform's key. */
export interface PlatformKeyProps {
  /**
   * What happens to the key when it leaves the stack.
   *
   * @default RemovalPolicy.RETAIN - without the key, what it encrypted is lost
   */
  readonly removalPolicy?: RemovalPolicy;

  /**
   * How long a deleted key can still be restored, 7 to 30 days.
   *
   * @default Duration.days(30)
   */
  readonly pendingWindow?: Duration;
}

/**
 * The customer-managed key that encrypts everything a platform keeps: yearly rotation, and a key policy that lets the
 * services which store data on the platform's behalf use it for this account only.
 */
export class PlatformKey extends kms.Key {
  /**
   * Lets the services that write on the platform's behalf use a key of your own. The platform calls this for a key that
   * it is given; on an imported key it changes nothing, and the key's policy must already allow the same.
   *
   * @param key the key
   */
  public static allowServices(key: kms.IKey): void {
    const stack = Stack.of(key);
    key.addToResourcePolicy(
      new iam.PolicyStatement({
        sid: 'LogGroupsOfThisAccount',
        principals: [new iam.ServicePrincipal(`logs.${stack.region}.amazonaws.com`)],
        actions: ['kms:Encrypt', 'kms:Decrypt', 'kms:ReEncrypt*', 'kms:GenerateDataKey*', 'kms:DescribeKey'],
        resources: ['*'],
        conditions: {
          ArnLike: {
            'kms:EncryptionContext:aws:logs:arn': stack.formatArn({
              service: 'logs',
              resource: 'log-group',
              resourceName: '*',
              arnFormat: ArnFormat.COLON_RESOURCE_NAME,
            }),
          },
        },
      }),
    );
    key.addToResourcePolicy(
      new iam.PolicyStatement({
        sid: 'Alarms',
        principals: [new iam.ServicePrincipal('cloudwatch.amazonaws.com')],
        actions: ['kms:Decrypt', 'kms:GenerateDataKey*'],
        resources: ['*'],
      }),
    );
    // By whom a service acts for the account, as in the policies of the AWS-managed keys. The service-linked role of Auto
    // Scaling cannot be named here: it may not exist yet, and a key policy with an unknown principal is refused.
    key.addToResourcePolicy(viaService(stack, 'Topics', 'sns', ['kms:Decrypt', 'kms:GenerateDataKey*']));
    key.addToResourcePolicy(
      viaService(stack, 'Volumes', 'ec2', [
        'kms:Encrypt',
        'kms:Decrypt',
        'kms:ReEncrypt*',
        'kms:GenerateDataKey*',
        'kms:CreateGrant',
        'kms:DescribeKey',
      ]),
    );
  }

  constructor(scope: Construct, id: string, props: PlatformKeyProps = {}) {
    super(scope, id, {
      description: 'Encrypts what the inference platform stores',
      enableKeyRotation: true,
      pendingWindow: props.pendingWindow,
      removalPolicy: props.removalPolicy ?? RemovalPolicy.RETAIN,
    });
    PlatformKey.allowServices(this);
  }
}

/** Whoever of this account may use the service may use the key through it, and only so. */
function viaService(stack: Stack, sid: string, service: string, actions: string[]): iam.PolicyStatement {
  return new iam.PolicyStatement({
    sid: `${sid}OfThisAccount`,
    principals: [new iam.AnyPrincipal()],
    actions,
    resources: ['*'],
    conditions: {
      StringEquals: {
        'kms:CallerAccount': stack.account,
        'kms:ViaService': `${service}.${stack.region}.amazonaws.com`,
      },
    },
  });
}
