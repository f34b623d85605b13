import { CfnOutput, RemovalPolicy, Stack, type StackProps } from 'aws-cdk-lib';
import * as ec2 from 'aws-cdk-lib/aws-ec2';
import * as logs from 'aws-cdk-lib/aws-logs';
import type { Construct } from 'constructs';
import documentation from '../examples/documentation-pipeline.json';
import {
  type FleetSettings,
  type InferencePlatformProps,
  InferencePlatform,
  type InferencePolicy,
  PipelineDocument,
  PlatformKey,
  PlatformNetwork,
  type PlatformPipelineSettings,
} from '../lib';

/** How much is built: `prod` survives the loss of a zone and is not deleted by accident, `dev` is small and goes. */
export type Profile = 'dev' | 'prod';

export const PROFILES: readonly Profile[] = ['dev', 'prod'];

interface ProfileSettings {
  readonly natGateways: number;
  readonly minCapacity: number;
  readonly platform: Partial<InferencePlatformProps>;
}

const SETTINGS: Record<Profile, ProfileSettings> = {
  dev: {
    natGateways: 1,
    minCapacity: 1,
    platform: {
      cacheNodeType: 'cache.t4g.small',
      cacheNodes: 2,
      logRetention: logs.RetentionDays.ONE_WEEK,
      removalPolicy: RemovalPolicy.DESTROY,
    },
  },
  prod: {
    natGateways: 3,
    minCapacity: 3,
    platform: {
      cacheNodeType: 'cache.m7g.large',
      cacheNodes: 3,
      logRetention: logs.RetentionDays.ONE_YEAR,
      removalPolicy: RemovalPolicy.RETAIN,
    },
  },
};

/** Properties of the reference stack. */
export interface ReferenceStackProps extends StackProps {
  readonly policy: InferencePolicy;
  readonly profile: Profile;
}

/** The reference platform: the default policy with open models on GPUs of 24 GB, over three zones. */
export class ReferenceStack extends Stack {
  public readonly platform: InferencePlatform;

  constructor(scope: Construct, id: string, props: ReferenceStackProps) {
    super(scope, id, props);
    const settings = SETTINGS[props.profile];
    const { removalPolicy, logRetention } = settings.platform;
    const encryptionKey = new PlatformKey(this, 'Key', { removalPolicy });
    const { vpc } = new PlatformNetwork(this, 'Network', {
      zones: 3,
      natGateways: settings.natGateways,
      encryptionKey,
      logRetention,
      removalPolicy,
    });
    this.platform = new InferencePlatform(this, 'Platform', {
      policy: props.policy,
      fleets: fleetsFor(props.policy, settings.minCapacity),
      dataPipelines: pipelinesFor(props.policy),
      vpc,
      encryptionKey,
      ...settings.platform,
    });
    this.addOutputs(props.policy);
  }

  private addPipelineOutputs(): void {
    for (const [name, { landing, stateMachine }] of Object.entries(this.platform.dataPipelines)) {
      new CfnOutput(this, `LandingOf-${name}`.replaceAll('-', ''), {
        value: `s3://${landing.bucketName}/incoming/`,
        description: `Where files of the pipeline ${name} land`,
      });
      new CfnOutput(this, `PipelineOf-${name}`.replaceAll('-', ''), {
        value: stateMachine.stateMachineArn,
        description: `An execution of it with {} publishes what has landed for ${name}`,
      });
    }
  }

  private addOutputs(policy: InferencePolicy): void {
    const { api, batchJobs, breakerControl, ratePlans, alarmTopic, dashboard } = this.platform;
    new CfnOutput(this, 'BaseUrl', { value: api.baseUrl, description: 'Base URL for any OpenAI client' });
    for (const { name } of policy.tenants) {
      new CfnOutput(this, `ReadKeyOf-${name}`.replaceAll('-', ''), {
        value: ratePlans.readKeyCommand(name),
        description: `Prints the API key of tenant ${name}`,
      });
    }
    new CfnOutput(this, 'BreakerControlFunctionName', {
      value: breakerControl.handler.function.functionName,
      description: 'Invoke with {} to read the breakers, with backend and force to override one',
    });
    const { work, progress } = batchJobs;
    new CfnOutput(this, 'WorkQueueUrl', { value: work.queue.queueUrl, description: 'Where items wait for workers' });
    new CfnOutput(this, 'DeadLetterQueueUrl', {
      value: work.deadLetterQueue.queueUrl,
      description: 'Where items lie that failed for good',
    });
    new CfnOutput(this, 'BatchTableName', { value: progress.tableName, description: 'The books of batches and jobs' });
    this.addPipelineOutputs();
    new CfnOutput(this, 'AlarmTopicArn', { value: alarmTopic.topicArn, description: 'Subscribe to hear of alarms' });
    new CfnOutput(this, 'DashboardUrl', {
      value: `https://console.aws.amazon.com/cloudwatch/home?region=${this.region}#dashboards:name=${dashboard.dashboard.dashboardName}`,
      description: 'What the platform does',
    });
  }
}

/** The documentation of a team, found by meaning: the backend and the tenant of the default policy that are for it. */
export const REFERENCE_PIPELINE = { name: 'documentation', backend: 'retrieval', tenant: 'documentation' };

/** The pipeline of the default policy. Another policy may leave its backend or its tenant out, or name a server elsewhere. */
export function pipelinesFor({ backends, tenants }: InferencePolicy): Record<string, PlatformPipelineSettings> {
  const { name, backend, tenant } = REFERENCE_PIPELINE;
  const isServed = backends.some((candidate) => candidate.name === backend && !candidate.url && !candidate.bedrock);
  if (!isServed || !tenants.some((candidate) => candidate.name === tenant)) return {};
  const definition = PipelineDocument.fromJson(JSON.stringify(documentation));
  return { [name]: { definition, backend, tenant } };
}

/** What the fleets of the default policy load: open weights, no licence to accept, 24 GB of GPU memory each. */
const MODELS: Record<string, { readonly model: string; readonly args: string[] }> = {
  'chat-gpu': { model: 'Qwen/Qwen3-8B', args: ['--max-model-len', '16384'] },
  'chat-backup-gpu': { model: 'Qwen/Qwen3-1.7B', args: ['--max-model-len', '16384'] },
  'embedding-gpu': { model: 'BAAI/bge-m3', args: [] },
};

/**
 * The fleets of a policy's backends without url and bedrock. Another policy may leave some of them out, or name servers elsewhere;
 * a fleet that this app does not know is for an app of your own, where you say what it loads.
 */
function fleetsFor(policy: InferencePolicy, minCapacity: number): Record<string, FleetSettings> {
  const { G6, G5 } = ec2.InstanceClass;
  const instanceTypes = [G6, G5].map((family) => ec2.InstanceType.of(family, ec2.InstanceSize.XLARGE));
  const fleets = policy.backends.flatMap(({ name, url, bedrock }): [string, FleetSettings][] => {
    const modelServer = MODELS[name];
    if (url !== undefined || bedrock || !modelServer) return [];
    return [[name, { modelServer, instanceTypes, minCapacity, maxCapacity: 3 * minCapacity }]];
  });
  return Object.fromEntries(fleets);
}
