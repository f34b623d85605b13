import { createHash } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import * as path from 'node:path';
import { RemovalPolicy, Stage } from 'aws-cdk-lib';
import * as lambda from 'aws-cdk-lib/aws-lambda';
import { Construct } from 'constructs';
import type { InferencePolicy } from '../policy/policy';
import { assertValidPolicy } from '../policy/validate';
import { withoutDeployTimeValues } from './deploy-time-values';

/** Properties of a policy layer. */
export interface PolicyLayerProps {
  /** The policy. */
  readonly policy: InferencePolicy;
}

/**
 * Brings the policy to the functions as a layer, `/opt/policy.json`: a policy may be larger than the 4 kB that a
 * function's environment holds, and a change of it is one reviewable change of one resource. The layer's metadata in
 * the template shows the policy in full.
 *
 * What is known only at deployment (CDK tokens) is left out: addresses of backends, models of Bedrock, and issuers of which anything is;
 * functions get it by their environment.
 */
export class PolicyLayer extends Construct {
  /** The layer. */
  public readonly layer: lambda.LayerVersion;

  constructor(scope: Construct, id: string, props: PolicyLayerProps) {
    super(scope, id);
    assertValidPolicy(props.policy, { plainKeysAllowed: false });
    const policy = withoutDeployTimeValues(props.policy);
    this.layer = new lambda.LayerVersion(this, 'Layer', {
      description: 'The inference policy that the functions obey',
      code: lambda.Code.fromAsset(this.writePolicy(JSON.stringify(policy))),
      compatibleArchitectures: [lambda.Architecture.ARM_64],
      compatibleRuntimes: [lambda.Runtime.NODEJS_24_X],
      removalPolicy: RemovalPolicy.DESTROY,
    });
    const resource = this.layer.node.defaultChild as lambda.CfnLayerVersion;
    resource.addMetadata('InferencePolicy', policy);
  }

  /** Writes the policy beside the templates, where a new synth finds its own again, and returns the directory. */
  private writePolicy(text: string): string {
    const hash = createHash('sha256').update(text).digest('hex').slice(0, 16);
    const directory = path.join(Stage.of(this)!.assetOutdir, `inference-policy.${hash}`);
    mkdirSync(directory, { recursive: true });
    writeFileSync(path.join(directory, 'policy.json'), text);
    return directory;
  }
}
