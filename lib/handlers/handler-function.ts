import { existsSync } from 'node:fs';
import * as path from 'node:path';
import { Duration, RemovalPolicy, type Size } from 'aws-cdk-lib';
import * as ec2 from 'aws-cdk-lib/aws-ec2';
import * as iam from 'aws-cdk-lib/aws-iam';
import type * as kms from 'aws-cdk-lib/aws-kms';
import * as lambda from 'aws-cdk-lib/aws-lambda';
import * as logs from 'aws-cdk-lib/aws-logs';
import { Construct } from 'constructs';
import { acknowledge, acknowledgeLint } from '../security/acknowledge';

/** Properties of a function that runs one of the package's bundled handlers. */
export interface HandlerFunctionProps {
  /** Name of the bundled handler, such as `inference`. */
  readonly handler: string;

  /** What the function is for, in one line. */
  readonly description: string;

  /**
   * Network of the function; it is placed in the private subnets.
   *
   * @default - none: the function calls AWS services only
   */
  readonly vpc?: ec2.IVpc;

  /**
   * Subnets of the function. Goes with `vpc`.
   *
   * @default - the private subnets with egress
   */
  readonly vpcSubnets?: ec2.SubnetSelection;

  /**
   * Environment of the function.
   *
   * @default - none
   */
  readonly environment?: Record<string, string>;

  /**
   * Layers of the function.
   *
   * @default - none
   */
  readonly layers?: lambda.ILayerVersion[];

  /**
   * Memory in MB; the share of a CPU grows with it.
   *
   * @default 256
   */
  readonly memorySize?: number;

  /**
   * Space of `/tmp`, 512 MiB to 10 GiB.
   *
   * @default Size.mebibytes(512)
   */
  readonly ephemeralStorageSize?: Size;

  /**
   * The longest that one invocation may take.
   *
   * @default Duration.seconds(10)
   */
  readonly timeout?: Duration;

  /**
   * The most invocations at one time, taken from the account's pool.
   *
   * @default - no reservation
   */
  readonly reservedConcurrency?: number;

  /**
   * Encrypts the log and the environment. Its policy must let CloudWatch Logs use it, as `PlatformKey` does.
   *
   * @default - encrypted by the services' own keys
   */
  readonly encryptionKey?: kms.IKey;

  /**
   * How long the log is kept.
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
 * The one way to turn a bundled handler into a function: Node.js 24 on arm64, own log group, structured log, tracing, a
 * role that may do what is listed here and what is granted later, and an explicit security group.
 */
export class HandlerFunction extends Construct implements iam.IGrantable, ec2.IConnectable {
  /** The function. */
  public readonly function: lambda.Function;

  /** The function's role. */
  public readonly role: iam.Role;

  /** The function's log. */
  public readonly logGroup: logs.LogGroup;

  public readonly grantPrincipal: iam.IPrincipal;

  /** Where rules of the function's security group are added; without a VPC it has none. */
  public readonly connections: ec2.Connections;

  constructor(scope: Construct, id: string, props: HandlerFunctionProps) {
    super(scope, id);
    this.role = new iam.Role(this, 'Role', { assumedBy: new iam.ServicePrincipal('lambda.amazonaws.com') });
    this.grantPrincipal = this.role;
    this.logGroup = new logs.LogGroup(this, 'Log', {
      encryptionKey: props.encryptionKey,
      retention: props.logRetention ?? logs.RetentionDays.THREE_MONTHS,
      removalPolicy: props.removalPolicy ?? RemovalPolicy.RETAIN,
    });
    this.logGroup.grantWrite(this.role);
    props.encryptionKey?.grantDecrypt(this.role);

    const securityGroup = props.vpc && this.joinNetwork(props.vpc, props.description);
    this.connections = new ec2.Connections({ securityGroups: securityGroup ? [securityGroup] : [] });

    this.function = new lambda.Function(this, 'Function', {
      description: props.description,
      runtime: lambda.Runtime.NODEJS_24_X,
      architecture: lambda.Architecture.ARM_64,
      handler: 'index.handler',
      code: lambda.Code.fromAsset(bundleOf(props.handler)),
      role: this.role,
      logGroup: this.logGroup,
      loggingFormat: lambda.LoggingFormat.JSON,
      tracing: lambda.Tracing.ACTIVE,
      memorySize: props.memorySize ?? 256,
      ephemeralStorageSize: props.ephemeralStorageSize,
      timeout: props.timeout ?? Duration.seconds(10),
      reservedConcurrentExecutions: props.reservedConcurrency,
      environment: { NODE_OPTIONS: '--enable-source-maps', ...props.environment },
      environmentEncryption: props.encryptionKey,
      layers: props.layers,
      ...(securityGroup && {
        vpc: props.vpc,
        vpcSubnets: props.vpcSubnets ?? { subnetType: ec2.SubnetType.PRIVATE_WITH_EGRESS },
        securityGroups: [securityGroup],
      }),
    });
    acknowledgeLint(this.function, {
      W3005: 'The CDK makes the order of role and function explicit, which a reference would do as well.',
    });
    acknowledge(this.role, {
      'AwsSolutions-IAM5[Resource::*]': props.vpc
        ? 'Tracing, and the network interfaces that Lambda manages in a VPC, are actions without resource-level permissions.'
        : 'X-Ray takes trace segments by actions without resource-level permissions.',
    });
  }

  /** A security group of its own, and the permissions by which Lambda manages the function's network interfaces. */
  private joinNetwork(vpc: ec2.IVpc, description: string): ec2.SecurityGroup {
    this.role.addToPolicy(
      new iam.PolicyStatement({
        actions: [
          'ec2:CreateNetworkInterface',
          'ec2:DescribeNetworkInterfaces',
          'ec2:DescribeSubnets',
          'ec2:DeleteNetworkInterface',
          'ec2:AssignPrivateIpAddresses',
          'ec2:UnassignPrivateIpAddresses',
        ],
        resources: ['*'],
      }),
    );
    return new ec2.SecurityGroup(this, 'SecurityGroup', { vpc, description, allowAllOutbound: false });
  }
}

/** Directory of a bundled handler. */
function bundleOf(handler: string): string {
  const directory = path.join(packageRoot(), 'dist', 'handlers', handler);
  if (!existsSync(path.join(directory, 'index.mjs'))) {
    throw new Error(
      `handler must be one that the package bundles, got "${handler}": run «npm run build» in a checkout`,
    );
  }
  return directory;
}

/** The nearest directory above that holds package.json: the same for `lib/` and for `dist/lib/`. */
function packageRoot(): string {
  let directory = __dirname;
  while (!existsSync(path.join(directory, 'package.json'))) directory = path.dirname(directory);
  return directory;
}
