import { Duration, type RemovalPolicy, Stack } from 'aws-cdk-lib';
import type * as ec2 from 'aws-cdk-lib/aws-ec2';
import * as iam from 'aws-cdk-lib/aws-iam';
import type * as kms from 'aws-cdk-lib/aws-kms';
import type * as logs from 'aws-cdk-lib/aws-logs';
import { Construct } from 'constructs';
import { HandlerFunction } from '../handlers/handler-function';
import type { IInferenceGateway } from '../handlers/inference-gateway';
import type { IEmbedder } from '../handlers/interfaces';
import { ModelKind } from '../policy/model';

/** A batch of long texts on a busy fleet. */
const EMBEDDING_TIME = Duration.minutes(2);

/** Properties of the function that embeds. */
export interface EmbeddingFunctionProps {
  /** Network of the function: that of the gateway's store and endpoints. */
  readonly vpc: ec2.IVpc;

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
 * Embeds texts for parts of the platform as its gateway does for clients: in the name of a tenant, under its limits, and
 * below the policy's `batch.ceiling` for pipelines. It is reached by permission, so that there is no key to keep, and nothing of it is
 * open to the world.
 */
export class EmbeddingFunction extends Construct implements IEmbedder {
  /** The function and its parts. */
  public readonly handler: HandlerFunction;

  public readonly functionArn: string;

  /** Value of the metrics' dimension `Service`, apart from the gateway's: no client waits for these answers. */
  public readonly serviceName: string;

  private gateway: IInferenceGateway | undefined;

  constructor(scope: Construct, id: string, props: EmbeddingFunctionProps) {
    super(scope, id);
    this.serviceName = `${Stack.of(this).stackName}-${this.node.addr.slice(-8)}`;
    this.handler = new HandlerFunction(this, 'Handler', {
      handler: 'embeddings',
      description: 'Embeds texts for pipelines and retrieval',
      vpc: props.vpc,
      memorySize: 512,
      timeout: EMBEDDING_TIME,
      encryptionKey: props.encryptionKey,
      logRetention: props.logRetention,
      removalPolicy: props.removalPolicy,
    });
    this.functionArn = this.handler.function.functionArn;
    this.node.addValidation({
      validate: () => (this.gateway ? [] : ['embedBy() must be called with the gateway that computes the answers']),
    });
  }

  /**
   * Says which gateway computes the answers. Once, and after the gateway is built: among its backends may be functions that have
   * texts embedded themselves.
   *
   * @param gateway the gateway, in the same network
   */
  public embedBy(gateway: IInferenceGateway): void {
    if (this.gateway) throw new Error(`embedBy() was called before, with "${this.gateway.node.path}"`);
    this.gateway = gateway;
    const { models } = gateway;
    for (const [name, value] of Object.entries(models.environmentWith({ SERVICE_NAME: this.serviceName }))) {
      this.handler.function.addEnvironment(name, value);
    }
    this.handler.function.addLayers(models.policyLayer.layer);
    models.grantTo(this.handler, ModelKind.EMBEDDING);
  }

  /**
   * Lets a function of the platform have texts embedded, in the name of any tenant.
   *
   * @param grantee the function
   */
  public grantEmbed(grantee: iam.IGrantable): void {
    // The function itself; a grant of the L2 would take in all versions of it.
    const { functionArn } = this;
    grantee.grantPrincipal.addToPrincipalPolicy(
      new iam.PolicyStatement({ actions: ['lambda:InvokeFunction'], resources: [functionArn] }),
    );
  }
}
