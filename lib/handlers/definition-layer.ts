import { createHash } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import * as path from 'node:path';
import { RemovalPolicy, Stage, Token } from 'aws-cdk-lib';
import * as lambda from 'aws-cdk-lib/aws-lambda';
import { Construct } from 'constructs';

/** Properties of a layer of a definition. */
export interface DefinitionLayerProps {
  /** Name of the file that functions read below `/opt`, such as `features.json`. */
  readonly fileName: string;

  /** What the definition is of, in one line. */
  readonly description: string;

  /** The definition: plain data without CDK tokens. */
  readonly definition: object;
}

/**
 * Brings a definition that is plain data to the functions as a layer: it may be larger than the 4 kB that a function's
 * environment holds, and a change of it is one reviewable change of one resource. The layer's metadata in the template
 * shows it in full.
 */
export class DefinitionLayer extends Construct {
  /** The layer. */
  public readonly layer: lambda.LayerVersion;

  constructor(scope: Construct, id: string, props: DefinitionLayerProps) {
    super(scope, id);
    const text = JSON.stringify(props.definition);
    if (Token.isUnresolved(text)) {
      throw new Error(`definition must hold no CDK tokens, which are known at deployment only: ${props.description}`);
    }
    const hash = createHash('sha256').update(text).digest('hex').slice(0, 16);
    // Beside the templates, where a new synth finds its own again.
    const directory = path.join(Stage.of(this)!.assetOutdir, `${path.parse(props.fileName).name}.${hash}`);
    mkdirSync(directory, { recursive: true });
    writeFileSync(path.join(directory, props.fileName), text);
    this.layer = new lambda.LayerVersion(this, 'Layer', {
      description: props.description,
      code: lambda.Code.fromAsset(directory),
      compatibleArchitectures: [lambda.Architecture.ARM_64],
      compatibleRuntimes: [lambda.Runtime.NODEJS_24_X],
      removalPolicy: RemovalPolicy.DESTROY,
    });
    (this.layer.node.defaultChild as lambda.CfnLayerVersion).addMetadata('Definition', props.definition);
  }
}
