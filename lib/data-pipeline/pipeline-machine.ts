import { ArnFormat, Aws, Duration, Fn, RemovalPolicy, Stack } from 'aws-cdk-lib';
import * as iam from 'aws-cdk-lib/aws-iam';
import type * as kms from 'aws-cdk-lib/aws-kms';
import type * as lambda from 'aws-cdk-lib/aws-lambda';
import * as logs from 'aws-cdk-lib/aws-logs';
import * as sfn from 'aws-cdk-lib/aws-stepfunctions';
import { Construct } from 'constructs';
import type { HandlerFunction } from '../handlers/handler-function';
import type { ResolvedPipeline } from '../policy/pipeline/pipeline-defaults';
import { INCOMING_PREFIX, JOBS_PREFIX, RUNS_PREFIX } from '../policy/pipeline/prefixes';
import { acknowledge, acknowledgeLint, wildcardFinding } from '../security/acknowledge';
import type { DataBucket } from './data-bucket';
import { workflowOf } from './pipeline-workflow';

/** The parts of a pipeline that its state machine needs. */
export interface PipelineMachineProps {
  readonly pipeline: ResolvedPipeline;
  readonly childType: 'EXPRESS' | 'STANDARD';
  readonly worker: HandlerFunction;
  readonly steps: HandlerFunction;
  readonly bucket: DataBucket;
  readonly landing: DataBucket;
  /** Whether what has landed can be read only once it was scanned. */
  readonly waitsForScan: boolean;
  readonly glueJobs?: Record<string, string>;
  readonly publishGate?: lambda.IFunction;
  readonly holdOnAnomaly?: boolean;
  readonly maxConcurrency?: number;
  readonly backfillConcurrency?: number;
  readonly toleratedFailurePercentage?: number;
  readonly timeout?: Duration;
  readonly encryptionKey?: kms.IKey;
  readonly logRetention?: logs.RetentionDays;
  readonly removalPolicy?: RemovalPolicy;
}

/** The state machine of a pipeline, its role and its log. */
export class PipelineMachine extends Construct {
  public readonly stateMachine: sfn.StateMachine;
  private readonly role: iam.Role;

  public constructor(scope: Construct, id: string, props: PipelineMachineProps) {
    super(scope, id);
    const { pipeline, worker, steps, bucket, landing, publishGate } = props;
    const jobs = pipeline.stages.flatMap(({ name, work }) =>
      work.kind === 'glueJob' ? [{ stage: name, jobName: props.glueJobs![work.name]! }] : [],
    );
    const maxConcurrency = props.maxConcurrency ?? 10;
    const stack = Stack.of(this);
    const log = new logs.LogGroup(this, 'Log', {
      // Step Functions delivers to names that begin so without a resource policy that grows with each. The stack's own
      // id makes the name unique, also after a stack was deleted and its log was retained.
      logGroupName: `/aws/vendedlogs/states/${Aws.STACK_NAME}-${Fn.select(2, Fn.split('/', Aws.STACK_ID))}-${this.node.addr.slice(-12)}`,
      encryptionKey: props.encryptionKey,
      retention: props.logRetention ?? logs.RetentionDays.THREE_MONTHS,
      removalPolicy: props.removalPolicy ?? RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE,
    });
    this.role = new iam.Role(this, 'Role', { assumedBy: new iam.ServicePrincipal('states.amazonaws.com') });
    const definition = workflowOf(this, {
      workerArn: worker.function.functionArn,
      stepsArn: steps.function.functionArn,
      bucketName: bucket.bucketName,
      landingBucketName: landing.bucketName,
      incomingPrefix: INCOMING_PREFIX,
      runsPrefix: RUNS_PREFIX,
      jobsPrefix: JOBS_PREFIX,
      jobs,
      startsWithJob: pipeline.stages[0]?.work.kind === 'glueJob',
      gateArn: publishGate?.functionArn,
      holdsOnAnomaly: props.holdOnAnomaly ?? false,
      hasIndex: pipeline.retrieval !== undefined,
      needsTime: needsTime(pipeline),
      childType: props.childType,
      waitsForScan: props.waitsForScan,
      // One at a time where a shard waits for an endpoint, so that a call ends well within its limit, or for a scan, so that
      // it holds up no other.
      shardsPerBatch: props.childType === 'EXPRESS' ? 4 : 1,
      maxConcurrency,
      backfillConcurrency: props.backfillConcurrency ?? Math.max(1, Math.floor(maxConcurrency / 4)),
      toleratedFailurePercentage: props.toleratedFailurePercentage ?? 0,
      timeoutSeconds: (props.timeout ?? Duration.hours(12)).toSeconds(),
    });
    this.stateMachine = new sfn.StateMachine(this, 'StateMachine', {
      definitionBody: sfn.DefinitionBody.fromString(stack.toJsonString(definition)),
      role: this.role,
      logs: { destination: log, level: sfn.LogLevel.ALL, includeExecutionData: false },
      tracingEnabled: true,
      removalPolicy: RemovalPolicy.DESTROY,
    });
    acknowledgeLint(this.stateMachine, {
      W3005: 'The CDK makes the order of role and state machine explicit, which a reference would do as well.',
    });
    this.grantTasks(
      props,
      jobs.map(({ jobName }) => jobName),
    );
    this.grantMap(bucket, props);
    acknowledge(this.role, {
      'AwsSolutions-IAM5[Resource::*]': 'Delivery of logs and X-Ray have no resource-level permissions.',
    });
  }

  private grantTasks({ worker, steps, publishGate }: PipelineMachineProps, jobNames: readonly string[]): void {
    // A grant of the L2 would take in every version and alias of the functions.
    const functions = [worker.function, steps.function, ...(publishGate ? [publishGate] : [])];
    const resources = functions.map(({ functionArn }) => functionArn);
    this.role.addToPolicy(new iam.PolicyStatement({ actions: ['lambda:InvokeFunction'], resources }));
    if (jobNames.length === 0) return;
    const job = (resourceName: string) => Stack.of(this).formatArn({ service: 'glue', resource: 'job', resourceName });
    this.role.addToPolicy(
      new iam.PolicyStatement({
        actions: ['glue:StartJobRun', 'glue:GetJobRun', 'glue:GetJobRuns', 'glue:BatchStopJobRun'],
        resources: [...new Set(jobNames)].map(job),
      }),
    );
  }

  /** What a distributed map needs: the plan, the results, and executions of the machine itself. */
  private grantMap(bucket: DataBucket, { encryptionKey }: PipelineMachineProps): void {
    const objects = bucket.arnForObjects(`${RUNS_PREFIX}*`);
    const actions = ['s3:GetObject', 's3:PutObject', 's3:ListMultipartUploadParts', 's3:AbortMultipartUpload'];
    this.role.addToPolicy(new iam.PolicyStatement({ actions, resources: [objects] }));
    encryptionKey?.grant(this.role, 'kms:Decrypt', 'kms:GenerateDataKey');
    const { stateMachineArn, stateMachineName } = this.stateMachine;
    const runs = Stack.of(this).formatArn({
      ...{ service: 'states', resource: 'execution', resourceName: `${stateMachineName}/*` },
      arnFormat: ArnFormat.COLON_RESOURCE_NAME,
    });
    // Apart from the role's other permissions, which the machine waits for.
    const policy = new iam.Policy(this, 'MapPolicy', {
      roles: [this.role],
      statements: [
        new iam.PolicyStatement({ actions: ['states:StartExecution'], resources: [stateMachineArn] }),
        new iam.PolicyStatement({ actions: ['states:DescribeExecution', 'states:StopExecution'], resources: [runs] }),
      ],
    });
    acknowledge(this.role, {
      [wildcardFinding(this, objects)]: 'Which runs there will be is not known when the policy is written.',
    });
    acknowledge(policy, {
      [wildcardFinding(this, runs)]: 'Each batch of a run is an execution of its own, of this machine.',
    });
  }
}

/** Whether something in the pipeline is judged by the time that a run is for. */
function needsTime({ stages, monitors }: ResolvedPipeline): boolean {
  return (
    monitors.mostAgeSeconds !== undefined || stages.some(({ rules }) => rules.some(({ time }) => time !== undefined))
  );
}
