/**
 * The peer: an app of about the size of the reference stack, written with the CDK's own L2 constructs and their
 * defaults, and nothing of this package.
 */
import { App, Duration, Fn, Stack } from 'aws-cdk-lib';
import * as apigateway from 'aws-cdk-lib/aws-apigateway';
import * as autoscaling from 'aws-cdk-lib/aws-autoscaling';
import * as cloudwatch from 'aws-cdk-lib/aws-cloudwatch';
import { SnsAction } from 'aws-cdk-lib/aws-cloudwatch-actions';
import * as dynamodb from 'aws-cdk-lib/aws-dynamodb';
import * as ec2 from 'aws-cdk-lib/aws-ec2';
import * as elasticache from 'aws-cdk-lib/aws-elasticache';
import * as elbv2 from 'aws-cdk-lib/aws-elasticloadbalancingv2';
import * as iam from 'aws-cdk-lib/aws-iam';
import * as kms from 'aws-cdk-lib/aws-kms';
import * as lambda from 'aws-cdk-lib/aws-lambda';
import * as logs from 'aws-cdk-lib/aws-logs';
import * as s3 from 'aws-cdk-lib/aws-s3';
import * as sns from 'aws-cdk-lib/aws-sns';
import * as sqs from 'aws-cdk-lib/aws-sqs';
import * as wafv2 from 'aws-cdk-lib/aws-wafv2';

const app = new App();
const stack = new Stack(app, 'Plain');
const key = new kms.Key(stack, 'Key', { enableKeyRotation: true });
const vpc = new ec2.Vpc(stack, 'Vpc', {
  availabilityZones: [0, 1, 2].map((index) => Fn.select(index, Fn.getAzs())),
  gatewayEndpoints: {
    S3: { service: ec2.GatewayVpcEndpointAwsService.S3 },
    DynamoDb: { service: ec2.GatewayVpcEndpointAwsService.DYNAMODB },
  },
  flowLogs: { All: {} },
});
const table = new dynamodb.Table(stack, 'Table', {
  partitionKey: { name: 'id', type: dynamodb.AttributeType.STRING },
  encryptionKey: key,
});
const dead = new sqs.Queue(stack, 'Dead', { encryptionMasterKey: key, enforceSSL: true });
const queue = new sqs.Queue(stack, 'Queue', {
  encryptionMasterKey: key,
  enforceSSL: true,
  deadLetterQueue: { queue: dead, maxReceiveCount: 5 },
});
const topic = new sns.Topic(stack, 'Topic', { masterKey: key, enforceSSL: true });
const bucket = new s3.Bucket(stack, 'Bucket', { enforceSSL: true, encryption: s3.BucketEncryption.S3_MANAGED });

const functions = ['Serve', 'Authorize', 'Register', 'Certify'].map((name) => {
  const securityGroup = new ec2.SecurityGroup(stack, `${name}SecurityGroup`, { vpc, allowAllOutbound: false });
  const handler = new lambda.Function(stack, name, {
    runtime: lambda.Runtime.NODEJS_24_X,
    architecture: lambda.Architecture.ARM_64,
    handler: 'index.handler',
    code: lambda.Code.fromAsset(`dist/handlers/${name === 'Serve' ? 'inference' : 'authorizer'}`),
    vpc,
    securityGroups: [securityGroup],
    tracing: lambda.Tracing.ACTIVE,
    logGroup: new logs.LogGroup(stack, `${name}Log`, { encryptionKey: key }),
    environmentEncryption: key,
  });
  table.grantReadWriteData(handler);
  return handler;
});

const api = new apigateway.RestApi(stack, 'Api', {
  cloudWatchRole: true,
  deployOptions: {
    loggingLevel: apigateway.MethodLoggingLevel.ERROR,
    accessLogDestination: new apigateway.LogGroupLogDestination(new logs.LogGroup(stack, 'AccessLog')),
  },
});
const authorizer = new apigateway.TokenAuthorizer(stack, 'Authorizer', { handler: functions[1]! });
const integration = new apigateway.LambdaIntegration(functions[0]!);
for (const path of ['chat', 'completions', 'embeddings', 'models', 'files', 'batches']) {
  const model = api.addModel(`${path}Model`, { schema: { type: apigateway.JsonSchemaType.OBJECT } });
  api.root.addResource(path).addMethod('POST', integration, {
    authorizer,
    apiKeyRequired: true,
    requestModels: { 'application/json': model },
  });
}
Object.entries(apigateway.ResponseType)
  .filter(([name, type]) => name === name.toUpperCase() && type instanceof apigateway.ResponseType)
  .slice(0, 14)
  .forEach(([name, type]) => {
    api.addGatewayResponse(name, { type: type as apigateway.ResponseType });
  });
for (const plan of ['standard', 'premium']) {
  api
    .addUsagePlan(plan, {
      apiStages: [{ api, stage: api.deploymentStage }],
      throttle: { rateLimit: 10, burstLimit: 20 },
    })
    .addApiKey(api.addApiKey(`${plan}-key`));
}

const groups = ['chat', 'backup', 'embedding'].map((name) => {
  const balancer = new elbv2.ApplicationLoadBalancer(stack, `${name}-balancer`, { vpc });
  const launchTemplate = new ec2.LaunchTemplate(stack, `${name}-template`, {
    machineImage: ec2.MachineImage.latestAmazonLinux2023({ cachedInContext: false }),
    instanceType: new ec2.InstanceType('g6.xlarge'),
    securityGroup: new ec2.SecurityGroup(stack, `${name}-group-sg`, { vpc }),
    requireImdsv2: true,
    userData: ec2.UserData.forLinux(),
    role: new iam.Role(stack, `${name}-role`, { assumedBy: new iam.ServicePrincipal('ec2.amazonaws.com') }),
  });
  const group = new autoscaling.AutoScalingGroup(stack, `${name}-group`, {
    vpc,
    mixedInstancesPolicy: {
      launchTemplate,
      launchTemplateOverrides: [{ instanceType: new ec2.InstanceType('g5.xlarge') }],
    },
    minCapacity: 1,
    maxCapacity: 6,
  });
  group.scaleOnCpuUtilization('Cpu', { targetUtilizationPercent: 70 });
  new logs.LogGroup(stack, `${name}-log`, { encryptionKey: key }).grantWrite(launchTemplate);
  const targets = balancer
    .addListener('Http', { port: 80, open: false })
    .addTargets('Targets', { port: 8000, protocol: elbv2.ApplicationProtocol.HTTP, targets: [group] });
  return { balancer, group, targets };
});

const metrics = [
  ...functions.flatMap((each) => [each.metricErrors(), each.metricThrottles(), each.metricDuration()]),
  ...groups.flatMap(({ targets }) => [targets.metrics.healthyHostCount(), targets.metrics.targetResponseTime()]),
  api.metricServerError(),
  api.metricLatency(),
  queue.metricApproximateAgeOfOldestMessage(),
  dead.metricApproximateNumberOfMessagesVisible(),
  queue.metricNumberOfMessagesSent(),
  api.metricCount(),
  api.metricClientError(),
];
const dashboard = new cloudwatch.Dashboard(stack, 'Dashboard', { defaultInterval: Duration.hours(3) });
metrics.forEach((metric, index) => {
  new cloudwatch.Alarm(stack, `Alarm${index}`, { metric, threshold: 1, evaluationPeriods: 3 }).addAlarmAction(
    new SnsAction(topic),
  );
  dashboard.addWidgets(new cloudwatch.GraphWidget({ left: [metric] }));
});
bucket.grantRead(functions[0]!);

// What has no L2, as one writes it then.
const users = new elasticache.CfnUser(stack, 'User', { engine: 'valkey', userId: 'user', userName: 'user' });
const userGroup = new elasticache.CfnUserGroup(stack, 'Users', {
  engine: 'valkey',
  userGroupId: 'users',
  userIds: [users.ref],
});
const subnetGroup = new elasticache.CfnSubnetGroup(stack, 'Subnets', {
  description: 'Private subnets',
  subnetIds: vpc.selectSubnets({ subnetType: ec2.SubnetType.PRIVATE_WITH_EGRESS }).subnetIds,
});
const parameters = new elasticache.CfnParameterGroup(stack, 'Parameters', {
  cacheParameterGroupFamily: 'valkey8',
  description: 'Parameters',
});
new elasticache.CfnReplicationGroup(stack, 'Cache', {
  replicationGroupDescription: 'Cache',
  engine: 'valkey',
  cacheNodeType: 'cache.m7g.large',
  numCacheClusters: 3,
  userGroupIds: [userGroup.ref],
  cacheSubnetGroupName: subnetGroup.ref,
  cacheParameterGroupName: parameters.ref,
});
const visibilityConfig = { cloudWatchMetricsEnabled: true, sampledRequestsEnabled: true, metricName: 'Acl' };
const acl = new wafv2.CfnWebACL(stack, 'Acl', {
  scope: 'REGIONAL',
  defaultAction: { allow: {} },
  visibilityConfig,
});
new wafv2.CfnWebACLAssociation(stack, 'Association', {
  resourceArn: api.deploymentStage.stageArn,
  webAclArn: acl.attrArn,
});
app.synth();
