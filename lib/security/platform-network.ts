import { Fn, RemovalPolicy } from 'aws-cdk-lib';
import * as ec2 from 'aws-cdk-lib/aws-ec2';
import type * as kms from 'aws-cdk-lib/aws-kms';
import * as logs from 'aws-cdk-lib/aws-logs';
import { Construct } from 'constructs';

/** Properties of a platform's network. */
export interface PlatformNetworkProps {
  /**
   * Availability zones, 2 to 6. Three keep two thirds of the capacity when one is lost.
   *
   * @default 3
   */
  readonly zones?: number;

  /**
   * NAT gateways, 1 to `zones`. The instances pull their model image through them.
   *
   * @default - one a zone, so that the loss of a zone isolates no other
   */
  readonly natGateways?: number;

  /**
   * IPv4 range of the network.
   *
   * @default '10.0.0.0/16'
   */
  readonly cidr?: string;

  /**
   * Encrypts the flow logs. Its policy must let CloudWatch Logs use it, as `PlatformKey` does.
   *
   * @default - encrypted by CloudWatch Logs' own key
   */
  readonly encryptionKey?: kms.IKey;

  /**
   * How long flow logs are kept.
   *
   * @default RetentionDays.THREE_MONTHS
   */
  readonly logRetention?: logs.RetentionDays;

  /**
   * What happens to the flow logs when they leave the stack.
   *
   * @default RemovalPolicy.RETAIN
   */
  readonly removalPolicy?: RemovalPolicy;
}

/**
 * A network for a platform: private subnets for everything, public ones for the NAT gateways alone, flow logs, and
 * gateway endpoints that keep S3 and DynamoDB traffic off the NAT gateways.
 *
 * It looks nothing up: its zones are the first ones of whatever region it is deployed to.
 */
export class PlatformNetwork extends Construct {
  /** The network. */
  public readonly vpc: ec2.Vpc;

  /** Where the flow logs go. */
  public readonly flowLogs: logs.LogGroup;

  constructor(scope: Construct, id: string, props: PlatformNetworkProps = {}) {
    super(scope, id);
    const zones = props.zones ?? 3;
    validateZones(zones, props.natGateways);

    this.vpc = new ec2.Vpc(this, 'Vpc', {
      ipAddresses: ec2.IpAddresses.cidr(props.cidr ?? '10.0.0.0/16'),
      // Chosen at deployment: `maxAzs` would give an environment-agnostic stack two zones, whatever it asks for.
      availabilityZones: Array.from({ length: zones }, (_, index) => Fn.select(index, Fn.getAzs())),
      natGateways: props.natGateways ?? zones,
      subnetConfiguration: [
        { name: 'Nat', subnetType: ec2.SubnetType.PUBLIC, cidrMask: 26, mapPublicIpOnLaunch: false },
        { name: 'Private', subnetType: ec2.SubnetType.PRIVATE_WITH_EGRESS, cidrMask: 20 },
      ],
      gatewayEndpoints: {
        S3: { service: ec2.GatewayVpcEndpointAwsService.S3 },
        DynamoDb: { service: ec2.GatewayVpcEndpointAwsService.DYNAMODB },
      },
      restrictDefaultSecurityGroup: false,
    });
    this.flowLogs = new logs.LogGroup(this, 'FlowLogs', {
      encryptionKey: props.encryptionKey,
      retention: props.logRetention ?? logs.RetentionDays.THREE_MONTHS,
      removalPolicy: props.removalPolicy ?? RemovalPolicy.RETAIN,
    });
    this.vpc.addFlowLog('FlowLog', { destination: ec2.FlowLogDestination.toCloudWatchLogs(this.flowLogs) });
  }
}

function validateZones(zones: number, natGateways: number | undefined): void {
  if (!Number.isInteger(zones) || zones < 2 || zones > 6) {
    throw new Error(`zones must be a whole number from 2 to 6, so that the loss of one is survived, got ${zones}`);
  }
  if (natGateways === undefined) return;
  if (!Number.isInteger(natGateways) || natGateways < 1 || natGateways > zones) {
    throw new Error(`natGateways must be a whole number from 1 to zones (${zones}), got ${natGateways}`);
  }
}
