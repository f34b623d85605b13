import { ArnFormat, Names, RemovalPolicy, Stack } from 'aws-cdk-lib';
import * as cloudwatch from 'aws-cdk-lib/aws-cloudwatch';
import * as ec2 from 'aws-cdk-lib/aws-ec2';
import * as elasticache from 'aws-cdk-lib/aws-elasticache';
import * as iam from 'aws-cdk-lib/aws-iam';
import type * as kms from 'aws-cdk-lib/aws-kms';
import * as logs from 'aws-cdk-lib/aws-logs';
import { Construct } from 'constructs';
import type { IResponseCache } from '../handlers/interfaces';
import { acknowledge } from '../security/acknowledge';

/** Not the well-known one, which is what scanners try first. */
const PORT = 6380;

/**
 * Per cent of the memory that the smallest nodes must keep free where the store searches
 * (https://docs.aws.amazon.com/AmazonElastiCache/latest/dg/search-features-limits.html); 25 elsewhere.
 */
const SEARCH_RESERVE: Readonly<Record<string, string | undefined>> = { micro: '50', small: '30' };

/** Properties of a response cache. */
export interface ResponseCacheProps {
  /** Network of the cache; it is placed in the private subnets. */
  readonly vpc: ec2.IVpc;

  /**
   * Subnets of the cache, in at least two zones.
   *
   * @default - the private subnets with egress
   */
  readonly vpcSubnets?: ec2.SubnetSelection;

  /**
   * Type of the nodes. Admission costs some 50 µs of a core: a single core serves about 20,000 requests a second. With
   * `cache.semantic` in the policy, each question takes about 14 bytes of memory for each dimension of its vector.
   *
   * @default 'cache.m7g.large' - 6.4 GiB, steady performance
   */
  readonly nodeType?: string;

  /**
   * Nodes, one primary and its replicas, 2 to 6, spread over the zones.
   *
   * @default 3
   */
  readonly nodes?: number;

  /**
   * Version of Valkey, 8.0 or later. 8.2 brought vector search, which `cache.semantic` of a policy needs.
   *
   * @default '8.2'
   */
  readonly engineVersion?: string;

  /**
   * Encrypts data at rest and the logs. Its policy must let CloudWatch Logs use it, as `PlatformKey` does.
   *
   * @default - encrypted by the services' own keys
   */
  readonly encryptionKey?: kms.IKey;

  /**
   * How long the engine's logs are kept.
   *
   * @default RetentionDays.ONE_MONTH
   */
  readonly logRetention?: logs.RetentionDays;

  /**
   * What happens to the cache and its logs when they leave the stack. What the cache holds can be computed again.
   *
   * @default RemovalPolicy.DESTROY
   */
  readonly removalPolicy?: RemovalPolicy;
}

/**
 * A Valkey replication group over several zones, with TLS, IAM authentication and encryption at rest: the store for
 * limits, breaker states and cached answers.
 */
export class ResponseCache extends Construct implements IResponseCache {
  public readonly url: string;
  public readonly userName?: string;
  public readonly cacheName?: string;
  public readonly engineVersion?: string;
  public readonly connections: ec2.Connections;

  /** The replication group. */
  public readonly replicationGroup: elasticache.CfnReplicationGroup;

  /** The user as which the handlers connect. */
  public readonly user: elasticache.CfnUser;

  private readonly nodes: number;

  constructor(scope: Construct, id: string, props: ResponseCacheProps) {
    super(scope, id);
    this.nodes = props.nodes ?? 3;
    const engineVersion = props.engineVersion ?? '8.2';
    const nodeType = props.nodeType ?? 'cache.m7g.large';
    this.engineVersion = engineVersion;
    validateProps(this.nodes, engineVersion);

    const securityGroup = new ec2.SecurityGroup(this, 'SecurityGroup', {
      vpc: props.vpc,
      description: 'Store of limits, breakers and cached answers',
      allowAllOutbound: false,
    });
    this.connections = new ec2.Connections({ securityGroups: [securityGroup], defaultPort: ec2.Port.tcp(PORT) });

    this.user = this.addUser();
    const userGroup = new elasticache.CfnUserGroup(this, 'UserGroup', {
      engine: 'valkey',
      userGroupId: this.user.userId,
      userIds: [this.user.ref],
    });
    const removalPolicy = props.removalPolicy ?? RemovalPolicy.DESTROY;
    this.replicationGroup = new elasticache.CfnReplicationGroup(this, 'ReplicationGroup', {
      replicationGroupDescription: 'Limits, breaker states and cached answers of the inference platform',
      engine: 'valkey',
      engineVersion,
      cacheNodeType: nodeType,
      numCacheClusters: this.nodes,
      automaticFailoverEnabled: true,
      multiAzEnabled: true,
      port: PORT,
      transitEncryptionEnabled: true,
      transitEncryptionMode: 'required',
      atRestEncryptionEnabled: true,
      kmsKeyId: props.encryptionKey?.keyArn,
      userGroupIds: [userGroup.ref],
      securityGroupIds: [securityGroup.securityGroupId],
      cacheSubnetGroupName: this.addSubnetGroup(props).ref,
      cacheParameterGroupName: this.addParameterGroup(engineVersion, nodeType).ref,
      autoMinorVersionUpgrade: true,
      logDeliveryConfigurations: this.addLogs(props, removalPolicy),
    });
    this.replicationGroup.applyRemovalPolicy(removalPolicy);
    acknowledge(this.replicationGroup, {
      'AwsSolutions-AEC6':
        'Users authenticate by IAM, with tokens of 15 minutes: stronger than the shared AUTH token that the rule looks for.',
    });

    this.url = `rediss://${this.replicationGroup.attrPrimaryEndPointAddress}:${PORT}`;
    this.userName = this.user.userId;
    this.cacheName = this.replicationGroup.ref;
  }

  /** Lets an identity connect to the cache with an IAM token. */
  public grantConnect(grantee: iam.IGrantable): void {
    const arn = (resource: string, resourceName: string) =>
      Stack.of(this).formatArn({
        service: 'elasticache',
        resource,
        resourceName,
        arnFormat: ArnFormat.COLON_RESOURCE_NAME,
      });
    grantee.grantPrincipal.addToPrincipalPolicy(
      new iam.PolicyStatement({
        actions: ['elasticache:Connect'],
        resources: [arn('replicationgroup', this.replicationGroup.ref), arn('user', this.user.userId)],
      }),
    );
  }

  /** Share of the engine's one thread that is in use, in per cent, the busiest node's. */
  public metricEngineCpu(props?: cloudwatch.MetricOptions): cloudwatch.IMetric {
    return this.overNodes('MAX', 'EngineCPUUtilization', { statistic: cloudwatch.Stats.MAXIMUM, ...props });
  }

  /** Share of the memory that is in use, in per cent, the fullest node's. */
  public metricMemoryUsage(props?: cloudwatch.MetricOptions): cloudwatch.IMetric {
    return this.overNodes('MAX', 'DatabaseMemoryUsagePercentage', { statistic: cloudwatch.Stats.MAXIMUM, ...props });
  }

  /** Entries that were dropped before their time to make room. */
  public metricEvictions(props?: cloudwatch.MetricOptions): cloudwatch.IMetric {
    return this.overNodes('SUM', 'Evictions', { statistic: cloudwatch.Stats.SUM, ...props });
  }

  /** How far the slowest replica is behind, in seconds. */
  public metricReplicationLag(props?: cloudwatch.MetricOptions): cloudwatch.IMetric {
    return this.overNodes('MAX', 'ReplicationLag', { statistic: cloudwatch.Stats.MAXIMUM, ...props });
  }

  /** ElastiCache reports by node, and names the nodes of a group `GROUP-001`, `GROUP-002` and so on. */
  private overNodes(combine: 'MAX' | 'SUM', metricName: string, props: cloudwatch.MetricOptions): cloudwatch.IMetric {
    const usingMetrics = Object.fromEntries(
      Array.from({ length: this.nodes }, (_, index) => [
        // An id is unique within a graph, and begins with a small letter.
        `${metricName.charAt(0).toLowerCase()}${metricName.slice(1)}${index + 1}`,
        new cloudwatch.Metric({
          namespace: 'AWS/ElastiCache',
          metricName,
          dimensionsMap: { CacheClusterId: `${this.replicationGroup.ref}-00${index + 1}` },
          ...props,
        }),
      ]),
    );
    return new cloudwatch.MathExpression({
      expression: `${combine}([${Object.keys(usingMetrics).join(', ')}])`,
      usingMetrics,
      label: props.label ?? metricName,
      period: props.period,
    });
  }

  /**
   * IAM authentication demands that a user's name equals its id. Of the search commands, only FT._LIST is administrative;
   * it is not used.
   */
  private addUser(): elasticache.CfnUser {
    // Ends in the hash of the path, so that a long path cut short stays unique.
    const userId = `u${Names.uniqueResourceName(this, { maxLength: 38 })}`.toLowerCase();
    return new elasticache.CfnUser(this, 'User', {
      engine: 'valkey',
      userId,
      userName: userId,
      authenticationMode: { Type: 'iam' },
      accessString: 'on ~* &* +@all -@admin -@dangerous +info',
    });
  }

  private addSubnetGroup(props: ResponseCacheProps): elasticache.CfnSubnetGroup {
    const subnets = props.vpc.selectSubnets(props.vpcSubnets ?? { subnetType: ec2.SubnetType.PRIVATE_WITH_EGRESS });
    return new elasticache.CfnSubnetGroup(this, 'Subnets', {
      description: 'Private subnets of the inference platform',
      subnetIds: subnets.subnetIds,
    });
  }

  /** Full memory must not cost a tenant its limits: they are touched at each request, and so never least recently used. */
  private addParameterGroup(engineVersion: string, nodeType: string): elasticache.CfnParameterGroup {
    const [, size = ''] = /^cache\.t\d[a-z]*\.(\w+)$/.exec(nodeType) ?? [];
    const reserved = SEARCH_RESERVE[size];
    return new elasticache.CfnParameterGroup(this, 'Parameters', {
      cacheParameterGroupFamily: `valkey${engineVersion.split('.')[0]}`,
      description: 'Evicts the least recently used entries that expire',
      properties: { 'maxmemory-policy': 'volatile-lru', ...(reserved && { 'reserved-memory-percent': reserved }) },
    });
  }

  private addLogs(
    props: ResponseCacheProps,
    removalPolicy: RemovalPolicy,
  ): elasticache.CfnReplicationGroup.LogDeliveryConfigurationRequestProperty[] {
    return ['slow-log', 'engine-log'].map((logType) => {
      const group = new logs.LogGroup(this, logType === 'slow-log' ? 'SlowLog' : 'EngineLog', {
        encryptionKey: props.encryptionKey,
        retention: props.logRetention ?? logs.RetentionDays.ONE_MONTH,
        removalPolicy,
      });
      return {
        logType,
        logFormat: 'json',
        destinationType: 'cloudwatch-logs',
        destinationDetails: { cloudWatchLogsDetails: { logGroup: group.logGroupName } },
      };
    });
  }
}

function validateProps(nodes: number, engineVersion: string): void {
  if (!Number.isInteger(nodes) || nodes < 2 || nodes > 6) {
    throw new Error(`nodes must be a whole number from 2 to 6, so that the loss of one is survived, got ${nodes}`);
  }
  if (!/^([89]|[1-9]\d)\.\d+$/.test(engineVersion)) {
    throw new Error(`engineVersion must be a version of Valkey from 8.0, such as "8.2", got "${engineVersion}"`);
  }
}
