import { randomUUID } from 'node:crypto';
import type { LambdaFunction } from '../lambda-runtime';
import { referencesIn, resourcesOf, type Template } from '../template';
import { functionBehind } from './function-reference';

/** A function that is called every so often. */
export interface Schedule {
  readonly id: string;
  readonly functionId: string;
  readonly everyMs: number;
  /** What the function is given. @default - the event of EventBridge */
  readonly input?: unknown;
}

const UNIT_MS: Readonly<Record<string, number>> = { minute: 60_000, hour: 3_600_000, day: 86_400_000 };

/**
 * Reads the schedules of the template, of EventBridge's rules and of its scheduler.
 *
 * @throws where one is not a rate, or calls anything but a function of the template
 */
export function schedulesOf(template: Template): Schedule[] {
  const rules = resourcesOf(template, 'AWS::Events::Rule').flatMap(([id, properties]) => {
    const { ScheduleExpression: rate, State: state, Targets: targets } = properties;
    if (rate === undefined || state === 'DISABLED') return [];
    return ((targets ?? []) as readonly Target[])
      .filter((target) => !startsRuns(template, target))
      .map((target) => schedule(template, id, rate, target));
  });
  const scheduled = resourcesOf(template, 'AWS::Scheduler::Schedule').flatMap(([id, properties]) => {
    const { ScheduleExpression: rate, State: state, Target: target } = properties;
    return state === 'DISABLED' ? [] : [schedule(template, id, rate, target as Target)];
  });
  return [...rules, ...scheduled];
}

interface Target {
  readonly Arn: unknown;
  readonly Input?: unknown;
}

/** A pipeline runs here when it is told to, by `pipeline run`. */
function startsRuns(template: Template, { Arn: arn }: Target): boolean {
  return referencesIn(arn).some((id) => template.Resources[id]?.Type === 'AWS::StepFunctions::StateMachine');
}

function schedule(template: Template, id: string, rate: unknown, { Arn: arn, Input: input }: Target): Schedule {
  const [, number, unit = ''] = /^rate\((\d+) (minute|hour|day)s?\)$/.exec(String(rate)) ?? [];
  const unitMs = UNIT_MS[unit];
  if (number === undefined || unitMs === undefined) {
    throw new Error(`${id}: a local run knows schedules such as rate(5 minutes), got ${JSON.stringify(rate)}`);
  }
  return {
    ...{ id, functionId: functionBehind(template, arn, id), everyMs: Number(number) * unitMs },
    ...(typeof input === 'string' && { input: JSON.parse(input) as unknown }),
  };
}

/** Calls a function every so often until it is closed. A call may begin before the one before it has ended, as in AWS. */
export class ScheduledCalls {
  private readonly timer: NodeJS.Timeout;
  private readonly inProgress = new Set<Promise<void>>();

  /** @param warn is told of calls that failed */
  public constructor(
    private readonly schedule: Schedule,
    private readonly lambda: LambdaFunction,
    private readonly warn: (text: string) => void,
  ) {
    this.timer = setInterval(() => this.call(), schedule.everyMs);
  }

  /** Resolves when the calls in progress have ended. */
  public async close(): Promise<void> {
    clearInterval(this.timer);
    await Promise.all(this.inProgress);
  }

  private call(): void {
    const { id, functionId, input } = this.schedule;
    const call = Promise.resolve(this.lambda.invoke(input ?? scheduledEvent(id)))
      .then(
        () => undefined,
        (error: unknown) => this.warn(`${functionId}: ${(error as Error).message}`),
      )
      .finally(() => this.inProgress.delete(call));
    this.inProgress.add(call);
  }
}

function scheduledEvent(rule: string): object {
  return {
    version: '0',
    id: randomUUID(),
    'detail-type': 'Scheduled Event',
    source: 'aws.events',
    account: '000000000000',
    time: new Date().toISOString().replace(/\.\d+Z$/, 'Z'),
    region: 'us-east-1',
    resources: [`arn:aws:events:us-east-1:000000000000:rule/${rule}`],
    detail: {},
  };
}
