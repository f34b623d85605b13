import type { Stack } from 'aws-cdk-lib';
import { Template } from 'aws-cdk-lib/assertions';
import { DataPipeline, type DataPipelineProps } from '../../../lib';
import { newStack } from '../synthesise';

/** A state as the States Language has it. */
export interface State {
  readonly Type: string;
  readonly Next?: string;
  readonly Default?: string;
  readonly End?: boolean;
  readonly Choices?: { readonly Condition: string; readonly Next: string }[];
  readonly Assign?: Record<string, unknown>;
  readonly ItemProcessor?: Machine & { readonly ProcessorConfig: unknown };
  readonly [field: string]: unknown;
}

/** A state machine as the States Language has it. */
export interface Machine {
  readonly StartAt: string;
  readonly States: Record<string, State>;
  readonly QueryLanguage?: string;
}

/** A function as it is deployed. */
export interface RenderedFunction {
  readonly arn: string;
  /** Folder of its bundle. */
  readonly handler: string;
  readonly environment: Record<string, string>;
}

/** A pipeline as it is deployed: names and ARNs, by logical id, in the place of references. */
export interface RenderedPipeline {
  readonly machine: Machine;
  readonly functions: readonly RenderedFunction[];
  readonly buckets: readonly string[];
  readonly tables: readonly string[];
}

interface Resource {
  readonly Type: string;
  readonly Properties: Record<string, unknown>;
}

/**
 * A pipeline with an ARN or a name for each reference.
 *
 * @param id of the construct: what the names begin with
 */
export function renderedPipeline(propsOf: (stack: Stack) => DataPipelineProps, id = 'Pipeline'): RenderedPipeline {
  const stack = newStack();
  new DataPipeline(stack, id, propsOf(stack));
  const { Resources } = Template.fromStack(stack).toJSON() as { Resources: Record<string, Resource> };
  const of = (type: string) => Object.entries(Resources).filter(([, { Type }]) => Type === type);
  const resolve = (value: unknown) => resolved(value) as string;
  const [, machine] = of('AWS::StepFunctions::StateMachine')[0]!;
  return {
    machine: JSON.parse(resolve(machine.Properties.DefinitionString)) as Machine,
    functions: of('AWS::Lambda::Function')
      .filter(([, { Properties }]) => 'Environment' in Properties)
      .map(([id, { Properties }]) => {
        const { Variables } = Properties.Environment as { Variables: Record<string, unknown> };
        return {
          arn: arnOf(id),
          handler: Variables.STATE_MACHINE === undefined ? 'pipeline-stage' : 'pipeline-control',
          environment: Object.fromEntries(Object.entries(Variables).map(([name, each]) => [name, resolve(each)])),
        };
      }),
    buckets: of('AWS::S3::Bucket').map(([id]) => id.toLowerCase()),
    tables: of('AWS::DynamoDB::Table').map(([id]) => id.toLowerCase()),
  };
}

/** A state machine's definition as it is deployed. */
export function machineOf(propsOf: (stack: Stack) => DataPipelineProps): Machine {
  return renderedPipeline(propsOf).machine;
}

const STACK_ID = 'arn:aws:cloudformation:eu-west-1:111122223333:stack/Stack/0b1c2d3e-0000-11ef-8000-0123456789ab';

function arnOf(id: string): string {
  return `arn:aws:lambda:eu-west-1:111122223333:function:${id}`;
}

/** What CloudFormation would make of a value. */
function resolved(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value;
  const {
    Ref,
    'Fn::GetAtt': attribute,
    'Fn::Join': join,
    'Fn::Select': select,
    'Fn::Split': split,
  } = value as {
    Ref?: string;
    'Fn::GetAtt'?: [string, string];
    'Fn::Join'?: [string, unknown[]];
    'Fn::Select'?: [number, unknown];
    'Fn::Split'?: [string, unknown];
  };
  if (Ref === 'AWS::Partition') return 'aws';
  if (Ref === 'AWS::Region') return 'eu-west-1';
  if (Ref === 'AWS::AccountId') return '111122223333';
  if (Ref === 'AWS::StackId') return STACK_ID;
  if (Ref !== undefined) return Ref.toLowerCase();
  if (attribute) return arnOf(attribute[0]);
  if (select) return (resolved(select[1]) as string[])[select[0]];
  if (split) return (resolved(split[1]) as string).split(split[0]);
  if (join) return join[1].map((part) => resolved(part) as string).join(join[0]);
  return value;
}
