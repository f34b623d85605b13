import { expect } from '@jest/globals';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import type { Stack } from 'aws-cdk-lib';
import type { DataPipelineProps, PipelineDefinition } from '../../lib';
import { invokeBuilt } from '../lambda/handlers/invoke-built';
import type { MotoServer } from '../lambda/moto-server';
import {
  type Machine,
  type RenderedPipeline,
  renderedPipeline,
  type State,
} from '../lib/data-pipeline/rendered-pipeline';
import type { StateMachineHost } from './state-machine-host';

/** How an execution ended. */
export interface Execution {
  readonly status: string;
  readonly error?: string;
  readonly cause?: string;
  readonly output?: Record<string, unknown>;
}

/** A pipeline that runs: its machine in moto, its functions as they are built. */
export class Deployment {
  public readonly rendered: RenderedPipeline;
  private executions = 0;
  private readonly machineArn: string;

  constructor(
    private readonly moto: MotoServer,
    host: StateMachineHost,
    id: string,
    propsOf: (stack: Stack) => DataPipelineProps,
  ) {
    let definition: PipelineDefinition | undefined;
    this.rendered = renderedPipeline((stack) => {
      const props = propsOf(stack);
      ({ definition } = props);
      return props;
    }, id);
    const { buckets, tables, functions, machine } = this.rendered;
    const file = join(mkdtempSync(join(tmpdir(), 'machine-')), 'pipeline.json');
    writeFileSync(file, JSON.stringify(definition));
    for (const { arn, handler, environment } of functions) {
      host.functions.set(arn, async (payload) => {
        const variables = { ...moto.environment, ...environment, PIPELINE_FILE: file };
        const { answers } = await invokeBuilt(handler, [payload], variables);
        const [answer] = answers as [{ threw?: string }];
        if (answer.threw !== undefined) throw new Error(answer.threw);
        return answer;
      });
    }
    const name = `machine-${definition!.name}`;
    this.machineArn = moto.python(`
for name in ${JSON.stringify(buckets)}:
    aws('s3').create_bucket(Bucket=name, CreateBucketConfiguration={'LocationConstraint': 'eu-west-1'})
for name in ${JSON.stringify(tables)}:
    aws('dynamodb').create_table(TableName=name, BillingMode='PAY_PER_REQUEST',
        KeySchema=[{'AttributeName': 'pipeline', 'KeyType': 'HASH'}, {'AttributeName': 'sequence', 'KeyType': 'RANGE'}],
        AttributeDefinitions=[{'AttributeName': each, 'AttributeType': 'S'} for each in ['pipeline', 'sequence']])
print(json.dumps(aws('stepfunctions').create_state_machine(name='${name}', definition=${JSON.stringify(
      JSON.stringify(asInterpreted(machine)),
    )}, roleArn='arn:aws:iam::123456789012:role/machine')['stateMachineArn']))`) as string;
  }

  public get landing(): string {
    return this.rendered.functions[0]!.environment.LANDING_BUCKET!;
  }

  public get bucket(): string {
    return this.rendered.functions[0]!.environment.PIPELINE_BUCKET!;
  }

  public land(name: string, records: readonly object[]): void {
    const body = records.map((record) => `${JSON.stringify(record)}\n`).join('');
    this.moto.python(
      `aws('s3').put_object(Bucket='${this.landing}', Key='incoming/${name}', Body=${JSON.stringify(body)}.encode())`,
    );
  }

  public objects(prefix: string): string[] {
    return this.moto.python(
      `print(json.dumps([o['Key'] for o in aws('s3').list_objects_v2(Bucket='${this.bucket}', Prefix='${prefix}').get('Contents', [])]))`,
    ) as string[];
  }

  public object(key: string): string {
    return this.moto.python(
      `print(json.dumps(aws('s3').get_object(Bucket='${this.bucket}', Key='${key}')['Body'].read().decode()))`,
    ) as string;
  }

  /** Names of the states that a run went through, without those of the map's children, and how it ended. */
  public async run(input: object = {}): Promise<{ readonly execution: Execution; readonly states: string[] }> {
    const name = `run-${++this.executions}`;
    const arn = this.moto.python(
      `print(json.dumps(aws('stepfunctions').start_execution(stateMachineArn='${this.machineArn}', name='${name}', input=${JSON.stringify(JSON.stringify(input))})['executionArn']))`,
    ) as string;
    for (;;) {
      const found = this.moto.python(`
e = aws('stepfunctions').describe_execution(executionArn='${arn}')
h = aws('stepfunctions').get_execution_history(executionArn='${arn}')['events']
print(json.dumps({'execution': {k: e[k] for k in ['status', 'error', 'cause', 'output'] if e.get(k)},
    'states': [x['stateEnteredEventDetails']['name'] for x in h if 'stateEnteredEventDetails' in x]}))`) as {
        execution: Execution & { output?: string };
        states: string[];
      };
      const { status, output } = found.execution;
      if (status !== 'RUNNING') {
        const told = output === undefined ? {} : { output: JSON.parse(output) as Record<string, unknown> };
        return { ...found, execution: { ...found.execution, ...told } };
      }
      await pause(100);
    }
  }
}

/**
 * The definition as the interpreter takes it, which knows less of distributed maps than Step Functions does. It has no
 * batches of items: the size of one is put to the end of the label, where machine.py finds it, and what a batch looks like
 * is said by a selector of items. It runs no express executions, writes no results, and tolerates any failure.
 */
function asInterpreted(machine: Machine): Machine {
  const states = Object.entries(machine.States).map(([name, state]): [string, State] => {
    if (state.Type !== 'Map') return [name, state];
    const { ItemBatcher, Label, ResultWriter, ToleratedFailurePercentage, ItemProcessor, ...rest } = state as State & {
      ItemBatcher: { MaxItemsPerBatch: number; BatchInput: object };
      Label: string;
    };
    expect([typeof ResultWriter, typeof ToleratedFailurePercentage]).toEqual(['object', 'number']);
    const selected = { BatchInput: ItemBatcher.BatchInput, Items: '{% $states.context.Map.Item.Value %}' };
    return [
      name,
      {
        ...rest,
        Label: `${Label}-${ItemBatcher.MaxItemsPerBatch}`,
        ItemSelector: selected,
        ItemProcessor: { ...ItemProcessor!, ProcessorConfig: { Mode: 'DISTRIBUTED', ExecutionType: 'STANDARD' } },
      },
    ];
  });
  return { ...machine, States: Object.fromEntries(states) };
}
