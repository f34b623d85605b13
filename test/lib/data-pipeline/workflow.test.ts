import { createRequire } from 'node:module';
import { describe, expect, it } from '@jest/globals';
import type { Stack } from 'aws-cdk-lib';
import * as lambda from 'aws-cdk-lib/aws-lambda';
import jsonata from 'jsonata';
import { MOST_LINE_BYTES } from '../../../lambda/data-pipeline/reading/shard-plan';
import { type DataPipelineProps, type PipelineDefinition } from '../../../lib';
import { type Machine, machineOf, type State } from './rendered-pipeline';

interface Validation {
  readonly isValid: boolean;
  errorsText(separator: string): string;
}

const validator = createRequire(__filename)('asl-validator') as (definition: unknown) => Validation;
/** The validator writes into what it is given. */
const validate = (definition: unknown) => validator(structuredClone(definition));

const PARSE: PipelineDefinition = { name: 'texts', stages: [{ name: 'parse', work: { parse: {} } }] };
const EMBED: PipelineDefinition = {
  name: 'manual',
  stages: [
    { name: 'chunk', work: { chunk: {} } },
    { name: 'embed', work: { embed: { model: 'm', dimensions: 8 } } },
  ],
  retrieval: {},
};
const ORDER = { type: 'object', required: ['id'], properties: { id: { type: 'string' } } };
const JOB: PipelineDefinition = {
  name: 'orders',
  monitors: { mostAgeSeconds: 60 },
  source: { timeField: 'at' },
  stages: [{ name: 'job', work: { glueJob: { name: 'flatten' } }, input: { type: 'object' }, output: ORDER }],
};
/** Bundled work, a job, bundled work, a job. */
const JOBS: PipelineDefinition = {
  name: 'sums',
  stages: [
    { name: 'check', work: { check: {} }, input: ORDER, output: ORDER },
    { name: 'sum', work: { glueJob: { name: 'flatten' } }, input: ORDER, output: ORDER },
    { name: 'again', work: { check: {} }, input: ORDER, output: ORDER },
    { name: 'join', work: { glueJob: { name: 'join' } }, input: ORDER, output: ORDER },
  ],
};
const gate = (stack: Stack) => lambda.Function.fromFunctionName(stack, 'Gate', 'gate');

const MACHINES: [string, (stack: Stack) => DataPipelineProps][] = [
  ['a small pipeline', () => ({ definition: PARSE })],
  ['one that embeds and fills an index', () => ({ definition: EMBED, embeddingUrl: 'https://models.example.com' })],
  [
    'one with a Glue job, a gate and anomalies that hold',
    (stack) => ({ definition: JOB, glueJobs: { flatten: 'flatten' }, publishGate: gate(stack), holdOnAnomaly: true }),
  ],
  ['one whose files are scanned', () => ({ definition: PARSE, malwareScan: true })],
  ['one with Glue jobs between its stages', () => ({ definition: JOBS, glueJobs: { flatten: 'f', join: 'j' } })],
];

/** All expressions of a definition, with the states in which they stand. */
function expressionsOf(value: unknown, path = ''): [path: string, text: string][] {
  if (typeof value === 'string') return /^{%.*%}$/s.test(value) ? [[path, value.slice(2, -2)]] : [];
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([name, part]) => expressionsOf(part, `${path}/${name}`));
}

/** What an expression gives. */
const evaluate = async (text: unknown, states: object, variables: object = {}) => {
  const expression = jsonata((text as string).slice(2, -2));
  for (const [name, value] of Object.entries(variables)) expression.assign(name, value);
  expression.assign('states', states);
  // A result of JSONata has properties of its own that are no part of it.
  return JSON.parse(JSON.stringify(await expression.evaluate({}))) as unknown;
};

describe.each(MACHINES)('the state machine of %s', (_name, propsOf) => {
  const machine = machineOf(propsOf);
  const maps = Object.values(machine.States).filter(({ Type }) => Type === 'Map');

  it('is valid by the rules of the States Language', () => {
    const result = validate(machine);
    expect([result.isValid, result.isValid ? '' : result.errorsText('\n')]).toEqual([true, '']);
    expect(machine.QueryLanguage).toBe('JSONata');
    const { Plan, ...others } = machine.States;
    expect(validate({ ...machine, States: others }).isValid).toBe(false);
    expect(validate({ ...machine, States: { ...others, Plan: { ...Plan, Retry: 'often' } } }).isValid).toBe(false);
  });

  it('has expressions that compile, each of which names only what is there', () => {
    const expressions = expressionsOf(machine);
    expect(expressions.length).toBeGreaterThan(15);
    const variables = new Set(Object.values(machine.States).flatMap(({ Assign = {} }) => Object.keys(Assign)));
    for (const [path, text] of expressions) {
      expect(() => jsonata(text)).not.toThrow();
      const named = [...text.matchAll(/\$([a-z]\w*)(?!\w*\()/gi)].map(([, name]) => name!);
      const local = [...text.matchAll(/function\(([^)]*)\)/g)].flatMap(([, names]) => names!.match(/\w+/g) ?? []);
      for (const name of named.filter((each) => each !== 'states' && !local.includes(each))) {
        expect([path, name, variables.has(name)]).toEqual([path, name, true]);
      }
    }
  });

  it('has expressions that give something, whichever way a run goes', async () => {
    const variables = {
      ...{ request: { asOf: '2026-11-24T03:00:00Z' }, concurrency: 10, jobs: 'jobs/run-1/' },
      ...{ again: false, run: 'r', sequence: 0, plan: 'runs/r/plan.jsonl', index: { isSwitched: false, missed: 2 } },
      audit: { version: 'v', isHeld: false, held: 'why', anomalies: [{ monitor: 'volume' }] },
    };
    const states = {
      input: { shards: 2, outcome: 'published', publish: true, index: 'v', isFilled: false },
      context: { Execution: { Name: 'run-1', StartTime: '2026-11-24T03:00:00Z', Input: { index: 'v' } } },
      result: { Payload: { run: 'r', sequence: 0, plan: 'runs/r/plan.jsonl' } },
    };
    for (const [path, text] of expressionsOf(machine)) {
      expect([path, typeof (await evaluate(`{%${text}%}`, states, variables))]).not.toEqual([path, 'undefined']);
    }
  });

  // https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html, and the pages of the distributed map.
  it('stays within the limits of Step Functions', () => {
    expect(JSON.stringify(machine).length).toBeLessThan(1_048_576);
    const all = [machine, ...Object.values(machine.States).flatMap(({ ItemProcessor }) => ItemProcessor ?? [])];
    const names = all.flatMap(({ States }) => Object.keys(States));
    expect(new Set(names).size).toBe(names.length);
    for (const name of names) expect(name.length).toBeLessThanOrEqual(80);
    expect(new Set(maps.map(({ Label }) => Label)).size).toBe(maps.length);
    for (const map of maps) {
      expect(map.Label).toMatch(/^[A-Za-z0-9_-]{1,40}$/);
      const batcher = map.ItemBatcher as { MaxItemsPerBatch: number; MaxInputBytesPerBatch: number };
      expect(batcher.MaxItemsPerBatch).toBeGreaterThanOrEqual(1);
      // With what every event of a child has besides its batch.
      expect(batcher.MaxInputBytesPerBatch).toBeLessThanOrEqual(262_144 - 65_536);
      // One line of the plan fits in, with what every batch has besides.
      expect(batcher.MaxInputBytesPerBatch).toBeGreaterThan(MOST_LINE_BYTES + 10_000);
    }
    // What the executions of a map's children go through stands in their own histories, of 25,000 events each.
    expect(Object.keys(machine.States).length * 5).toBeLessThan(25_000);
  });

  it('has none but the fields that a distributed map takes with JSONata', () => {
    const known = new Set([
      ...['Type', 'Label', 'ItemReader', 'ItemBatcher', 'MaxConcurrency', 'ToleratedFailurePercentage'],
      ...['ItemProcessor', 'ResultWriter', 'Catch', 'Next'],
    ]);
    expect(maps.length).toBeGreaterThan(0);
    for (const map of maps) {
      expect(Object.keys(map).filter((field) => !known.has(field))).toEqual([]);
      for (const part of ['ItemReader', 'ResultWriter'] as const) {
        const { Resource, Arguments, ReaderConfig, ...others } = map[part] as Record<string, unknown>;
        expect([Resource, Object.keys(Arguments as object)[0], others]).toEqual([
          part === 'ItemReader' ? 'arn:aws:states:::s3:getObject' : 'arn:aws:states:::s3:putObject',
          'Bucket',
          {},
        ]);
        expect(ReaderConfig).toEqual(part === 'ItemReader' ? { InputType: 'JSONL' } : undefined);
      }
    }
  });

  it('reaches every state from the first, and ends in each last one', () => {
    const reached = new Set<string>();
    const visit = (name: string) => {
      if (reached.has(name)) return;
      reached.add(name);
      const state = machine.States[name]!;
      expect([name, typeof state]).toEqual([name, 'object']);
      for (const next of [state.Next, state.Default, ...(state.Choices ?? []).map(({ Next }) => Next)]) {
        if (next !== undefined) visit(next);
      }
      const goesOn = state.Next !== undefined || state.Default !== undefined;
      expect([name, goesOn || state.End === true || ['Fail', 'Succeed'].includes(state.Type)]).toEqual([name, true]);
    };
    visit(machine.StartAt);
    expect([...reached].sort()).toEqual(Object.keys(machine.States).sort());
  });

  it('does not try again what a record has stopped, and lets the audit say why', () => {
    for (const map of maps) {
      const [work] = Object.values(map.ItemProcessor!.States);
      const [first, ...others] = work!.Retry as Record<string, unknown>[];
      expect(first).toEqual({ ErrorEquals: ['PipelineStopped'], MaxAttempts: 0 });
      expect(others.flatMap(({ ErrorEquals }) => ErrorEquals)).toContain('States.TaskFailed');
      expect(map.Catch).toEqual([{ ErrorEquals: ['States.ExceedToleratedFailureThreshold'], Next: map.Next }]);
      const audit = machine.States[map.Next!]!;
      expect(JSON.stringify(audit.Arguments)).toMatch(/"step":"(audit|handOver)"/);
      const retried = (audit.Retry as { ErrorEquals: string[] }[]).flatMap(({ ErrorEquals }) => ErrorEquals);
      expect(retried).not.toContain('PipelineStopped');
      expect(retried).not.toContain('States.TaskFailed');
      expect(audit.Catch).toBeUndefined();
    }
  });

  it('publishes nothing that is held, refused, overtaken or rolled back from', () => {
    const { MayPublish, IsPublished } = machine.States;
    expect(MayPublish!.Choices![0]).toEqual({ Condition: '{% $audit.isHeld %}', Next: 'Held' });
    expect(IsPublished!.Choices).toEqual([
      { Condition: `{% $states.input.outcome = 'overtaken' %}`, Next: 'Overtaken' },
      { Condition: `{% $states.input.outcome = 'rolledBack' %}`, Next: 'RolledBack' },
    ]);
    for (const name of ['Held', 'Overtaken', 'RolledBack']) expect(machine.States[name]!.Type).toBe('Fail');
    const before = Object.entries(machine.States).filter(([, { Next, Default, Choices = [] }]) =>
      [Next, Default, ...Choices.map((each) => each.Next)].includes('Publish'),
    );
    const [name] = before.map(([each]) => each);
    expect(before).toHaveLength(1);
    expect(name).toBe(machine.States.Gate ? 'GateSays' : 'MayPublish');
  });
});

describe('what the expressions come to', () => {
  const context = { Execution: { Name: 'run-1', StartTime: '2026-11-24T03:00:00Z' } };
  const small = machineOf(MACHINES[0]![1]);
  const job = machineOf(MACHINES[2]![1]);
  const between = machineOf(MACHINES[4]![1]);

  it('passes on what a run is asked, and nothing else of its input', async () => {
    const { request } = small.States.Begin!.Assign!;
    expect(await evaluate(request, { input: {}, context })).toEqual({});
    const asked = { asOf: '2026-01-01T00:00:00Z', redrive: 'v', mostCost: 3 };
    expect(await evaluate(request, { input: { ...asked, backfill: true, other: 1 }, context })).toEqual(asked);
  });

  it('takes the start of the run as its time where something is judged by it', async () => {
    const { request } = job.States.Begin!.Assign!;
    expect(await evaluate(request, { input: {}, context })).toEqual({ asOf: '2026-11-24T03:00:00Z' });
    const asOf = '2026-01-01T00:00:00Z';
    expect(await evaluate(request, { input: { asOf }, context })).toEqual({ asOf });
  });

  it('builds the index alone where an execution asks for that, as after a roll-back', async () => {
    const { States } = machineOf(MACHINES[1]![1]);
    expect(States.Begin!.Next).toBe('Asked');
    const [{ Condition, Next }] = States.Asked!.Choices as [{ Condition: string; Next: string }];
    expect(await evaluate(Condition, { input: { index: 'v' } })).toBe(true);
    expect(await evaluate(Condition, { input: { backfill: true } })).toBe(false);
    expect(States.Asked!.Default).toBe('Plan');
    expect(Next).toBe('FillAgain');
    for (const [name, step] of Object.entries({ FillAgain: 'fill', IndexAgain: 'index' })) {
      const { Payload } = States[name]!.Arguments as { Payload: { step: string; version: string } };
      expect(Payload.step).toBe(step);
      // Each call of a filling has the answer of the one before as its input.
      const execution = { context: { Execution: { Input: { index: 'v' } } }, input: { isFilled: false } };
      expect(await evaluate(Payload.version, execution)).toBe('v');
    }
    expect(States.IndexAgain!.Next).toBe('IsSwitched');
  });

  it.each(['', 'Again'])(
    'calls for the filling of an index until it is done, and then for the switch (%s)',
    async (own) => {
      const { States } = machineOf(MACHINES[1]![1]);
      expect(States[`Fill${own}`]!.Next).toBe(`IsFilled${own}`);
      const { Choices, Default } = States[`IsFilled${own}`]!;
      expect([Default, Choices![0]!.Next]).toEqual([`Fill${own}`, `Index${own}`]);
      expect(await evaluate(Choices![0]!.Condition, { input: { isFilled: false, parts: 3, total: 9 } })).toBe(false);
      expect(await evaluate(Choices![0]!.Condition, { input: { isFilled: true, parts: 9, total: 9 } })).toBe(true);
    },
  );

  it('holds a backfill to a quarter of the calls', async () => {
    const { concurrency } = small.States.Begin!.Assign!;
    expect(await evaluate(concurrency, { input: {}, context })).toBe(10);
    expect(await evaluate(concurrency, { input: { backfill: false }, context })).toBe(10);
    expect(await evaluate(concurrency, { input: { backfill: true }, context })).toBe(2);
  });

  it('has a Glue job read what is there for it, and write where the plan after it looks', async () => {
    const jobs = await evaluate(job.States.Begin!.Assign!.jobs, { input: {}, context });
    expect(jobs).toBe('jobs/run-1/');
    const placesOf = async ({ States }: Machine, own: string) => {
      const { Arguments } = States[`Job${own}`]!.Arguments as { Arguments: Record<string, string> };
      const { Payload } = States[`Plan${own}`]!.Arguments as { Payload: Record<string, string> };
      const output = await evaluate(Arguments['--output'], { context }, { jobs });
      return [Arguments['--input'], output, await evaluate(Payload.prefix, {}, { jobs }), Payload.isJobOutput];
    };
    const [landed, first, prefix] = await placesOf(job, '');
    expect(landed).toMatch(/^s3:\/\/pipelinelanding\w+\/incoming\/$/);
    expect(first).toMatch(/^s3:\/\/pipelineversions\w+\/jobs\/run-1\/job\/output\/$/);
    expect(prefix).toBe('jobs/run-1/job/output/');

    const [given, , later, isJobOutput] = await placesOf(between, '2');
    const { Payload } = between.States.HandOver!.Arguments as { Payload: Record<string, string> };
    expect(await evaluate(Payload.prefix, {}, { jobs })).toBe('jobs/run-1/sum/input/');
    expect(await evaluate(given, {}, { jobs })).toMatch(/\/jobs\/run-1\/sum\/input\/$/);
    expect([later, isJobOutput]).toEqual(['jobs/run-1/sum/output/', true]);
  });

  it('audits what comes before a job, plans what comes after it, and keeps the pointer of the beginning', () => {
    expect(between.States.MayGoOn).toMatchObject({
      Choices: [{ Condition: '{% $audit.isHeld %}', Next: 'Held' }],
      Default: 'Job2',
    });
    expect(between.States.HandOver2).toMatchObject({ Arguments: { Payload: { step: 'handOver', leg: 1 } } });
    expect(between.States.Plan3).toMatchObject({ Arguments: { Payload: { leg: 2, after: '{% $run %}' } } });
    const keeping = Object.entries(between.States).filter(([, { Assign = {} }]) => 'sequence' in Assign);
    expect(keeping.map(([name]) => name)).toEqual(['Plan']);
  });

  it('publishes again what was rolled back from where an execution says so, and says how where it does not', async () => {
    const { again } = small.States.Begin!.Assign!;
    expect(await evaluate(again, { input: {} })).toBe(false);
    expect(await evaluate(again, { input: { again: true } })).toBe(true);
    const { Payload } = small.States.Publish!.Arguments as { Payload: { again: string } };
    expect(await evaluate(Payload.again, {}, { again: true })).toBe(true);
    expect(small.States.RolledBack!.Error).toBe('RolledBack');
    expect(await evaluate(small.States.RolledBack!.Cause, {}, { audit: { version: 'abc' } })).toBe(
      'version abc was rolled back from, and is not published again: mend what made it, or start an execution with {"again": true}',
    );
  });

  it('says why a version is held', async () => {
    const audit = {
      version: 'abc',
      held: '3 of 4 records are at fault',
      anomalies: [{ monitor: 'volume' }, { monitor: 'nulls.x' }],
    };
    expect(await evaluate(job.States.Held!.Cause, {}, { audit })).toBe(
      'version abc is held: 3 of 4 records are at fault',
    );
    expect(await evaluate(job.States.Anomalous!.Cause, {}, { audit })).toBe(
      'version abc is held for anomalies: volume, nulls.x',
    );
    const [, anomalous] = job.States.MayPublish!.Choices!;
    expect(await evaluate(anomalous!.Condition, {}, { audit })).toBe(true);
    expect(await evaluate(anomalous!.Condition, {}, { audit: { ...audit, anomalies: [] } })).toBe(false);
  });
});

describe('the distributed map', () => {
  const map = (propsOf: (stack: Stack) => DataPipelineProps) => machineOf(propsOf).States.Shards!;

  it('runs express executions where no shard waits for others, and standard ones where one does', () => {
    expect(map(MACHINES[0]![1])).toMatchObject({
      ItemProcessor: { ProcessorConfig: { Mode: 'DISTRIBUTED', ExecutionType: 'EXPRESS' } },
      ItemBatcher: { MaxItemsPerBatch: 4 },
    });
    expect(map(MACHINES[1]![1])).toMatchObject({
      ItemProcessor: { ProcessorConfig: { ExecutionType: 'STANDARD' } },
      ItemBatcher: { MaxItemsPerBatch: 1 },
    });
  });

  it('waits for the scan of a file for longer than an express execution may last, and is not stopped by it before', () => {
    const shards = map(() => ({ definition: PARSE, malwareScan: true }));
    expect(shards).toMatchObject({ ItemProcessor: { ProcessorConfig: { ExecutionType: 'STANDARD' } } });
    const retriesOf = ({ ItemProcessor }: State) =>
      Object.values(ItemProcessor!.States)[0]!.Retry as Record<'ErrorEquals' | 'MaxAttempts', unknown>[];
    const [stopped, scan, ...others] = retriesOf(shards) as unknown as Record<string, number>[];
    expect(stopped!.ErrorEquals).toEqual(['PipelineStopped']);
    expect(scan!.ErrorEquals).toEqual(['NotYetScanned']);
    let waited = 0;
    for (let i = 0; i < scan!.MaxAttempts!; i++) {
      waited += Math.min(scan!.MaxDelaySeconds!, scan!.IntervalSeconds! * scan!.BackoffRate! ** i);
    }
    expect(waited).toBeGreaterThan(3600);
    expect(others).toEqual(retriesOf(map(MACHINES[0]![1])).slice(1));
  });

  it('tolerates no failure unless it is told to', () => {
    expect(map(MACHINES[0]![1]).ToleratedFailurePercentage).toBe(0);
    expect(map(() => ({ definition: PARSE, toleratedFailurePercentage: 5 })).ToleratedFailurePercentage).toBe(5);
  });
});
