/** What account.py prints, as far as the rehearsal asks for it; the names are those of the services' own answers. */
export interface Account {
  readonly stacks: { StackName: string; StackStatus: string; Outputs?: { OutputKey: string; OutputValue: string }[] }[];
  readonly queues: (Record<
    'url' | 'QueueArn' | 'KmsMasterKeyId' | 'VisibilityTimeout' | 'MessageRetentionPeriod',
    string
  > & {
    RedrivePolicy?: string;
  })[];
  readonly functions: LambdaFunction[];
  readonly feeds: { EventSourceArn: string; FunctionArn: string; BatchSize: number }[];
  readonly buckets: { Name: string }[];
  readonly layers: { LayerArn: string }[];
  readonly groups: {
    readonly AutoScalingGroupName: string;
    MixedInstancesPolicy: {
      LaunchTemplate: {
        LaunchTemplateSpecification: { LaunchTemplateId: string };
        Overrides: { InstanceType: string }[];
      };
    };
    MinSize: number;
    MaxSize: number;
    HealthCheckType: string;
    VPCZoneIdentifier: string;
    TargetGroupARNs: string[];
  }[];
  readonly launchTemplates: {
    LaunchTemplateId: string;
    SecurityGroupIds: string[];
    MetadataOptions: { HttpTokens: string; HttpPutResponseHopLimit: number };
    BlockDeviceMappings: { Ebs: { Encrypted: boolean; KmsKeyId: string } }[];
  }[];
  readonly loadBalancers: {
    Scheme: string;
    DNSName: string;
    AvailabilityZones: { ZoneName: string; SubnetId: string }[];
    SecurityGroups: string[];
    attributes: Record<string, string>;
    listeners: {
      Port: number;
      Protocol: string;
      SslPolicy: string;
      Certificates: { CertificateArn: string }[];
      DefaultActions: { TargetGroupArn: string }[];
    }[];
  }[];
  readonly targetGroups: {
    TargetGroupArn: string;
    Protocol: string;
    HealthCheckProtocol: string;
    HealthCheckPath: string;
    attributes: Record<string, string>;
  }[];
  readonly keys: { Arn: string; rotates: boolean }[];
  readonly tables: { TableName: string; items: Record<string, { S: string }>[] }[];
  readonly restApis: { id: string; apiKeySource: string; resources: ApiResource[] }[];
  readonly apiKeys: { id: string; description: string; value: string; enabled: boolean }[];
  readonly certificates: { CertificateArn: string; DomainName: string; Type: string; pem: string; authority: string }[];
  readonly logGroups: { logGroupName: string; kmsKeyId?: string; retentionInDays?: number }[];
  readonly subnets: { SubnetId: string; AvailabilityZone: string }[];
  readonly securityGroups: SecurityGroup[];
}

export interface LambdaFunction {
  FunctionName: string;
  FunctionArn: string;
  Description: string;
  Runtime: string;
  Architectures: string[];
  Layers: { Arn: string }[];
  TracingConfig: { Mode: string };
  VpcConfig?: { SubnetIds: string[]; SecurityGroupIds: string[] };
  Environment: { Variables: Record<string, string> };
}

export interface ApiResource {
  path: string;
  resourceMethods?: Record<
    string,
    { authorizationType: string; apiKeyRequired: boolean; methodIntegration: { type: string; uri?: string } }
  >;
}

export interface SecurityGroup {
  GroupId: string;
  Description: string;
  ingress: SecurityRule[];
  egress: SecurityRule[];
}

/** One direction of traffic; the peer is another group's id or a range of addresses. */
export interface SecurityRule {
  protocol: string;
  port: number | null;
  peer: string;
}
