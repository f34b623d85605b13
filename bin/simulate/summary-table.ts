import type { FirstTokenObjective, Measures } from './measures';
import type { Scenario, SimulationResult } from './simulation';

/** What is told about a run. */
export interface Summary {
  readonly scenario: Scenario;
  readonly result: SimulationResult;
  readonly objective: FirstTokenObjective;
  readonly measures: Measures;
  /** The hour after the loss of a zone, with what was in progress then. */
  readonly afterLoss?: Measures;
}

/** The run in plain lines. */
export function summaryTable({ scenario, result, objective, measures, afterLoss }: Summary): string {
  const { trace, zoneLoss } = scenario;
  const { outputTokens, inputTokens } = trace;
  const mean = (values: Int32Array) => values.reduce((sum, value) => sum + value, 0) / values.length;
  const limit = `${objective.milliseconds / 1000} s up to ${objective.inputTokens} input tokens, in proportion beyond`;
  const sizes = result.samples.map(({ inService }) => inService);
  const rows: (readonly [string, string])[] = [
    ['trace', trace.source],
    ['', `${grouped(measures.requests)} requests in ${duration(trace.duration)}`],
    ['', `mean ${mean(inputTokens).toFixed(0)} tokens in, ${mean(outputTokens).toFixed(0)} out`],
    ['served', shareOf(measures.served, measures.requests)],
    ['refused', shareOf(measures.refused, measures.requests)],
    ['no first token', shareOf(measures.timedOut, measures.requests)],
    ['cut off', shareOf(measures.broken, measures.requests)],
    ['first token in time', `${percent(measures.inTime)}  (${limit})`],
    ['first token', `p50 ${seconds(measures.firstTokenP50)}, p99 ${seconds(measures.firstTokenP99)}`],
    ['last token', `p50 ${seconds(measures.totalP50)}, p99 ${seconds(measures.totalP99)}`],
    ['GPU-hours', `${result.gpuHours.toFixed(1)}  (${result.instanceHours.toFixed(1)} instance-hours)`],
    ...scenario.backends.flatMap(({ name, serves }) => {
      if (!('boundedByTokens' in serves) || serves.boundedByTokens === undefined) return [];
      return [[`room of ${name}`, `${grouped(serves.boundedByTokens)} tokens in progress for each instance`] as const];
    }),
    ['in service', `${Math.min(...sizes)} to ${Math.max(...sizes)} instances`],
    ['churn', `${result.launches} launches, ${result.terminations} terminations`],
    ['preemptions', grouped(result.preemptions)],
    ...(result.servedBy.length > 1
      ? result.servedBy.map(({ backend, requests }) => [`by ${backend}`, shareOf(requests, measures.requests)] as const)
      : []),
    ...(zoneLoss && afterLoss
      ? [[`hour from ${duration(zoneLoss.atSeconds)}`, `${percent(afterLoss.inTime)} in time, one zone lost`] as const]
      : []),
  ];
  const width = Math.max(...rows.map(([name]) => name.length));
  return rows.map(([name, value]) => `  ${name.padEnd(width)}  ${value}\n`).join('');
}

function shareOf(count: number, all: number): string {
  return `${percent(count / all)}  ${grouped(count)}`;
}

function percent(share: number): string {
  return Number.isNaN(share) ? 'none' : `${(100 * share).toFixed(2)} %`;
}

function seconds(value: number): string {
  return Number.isNaN(value) ? 'none' : `${value.toFixed(2)} s`;
}

/** Digits in groups of three, the same on every machine. */
function grouped(number: number): string {
  return String(number).replace(/\B(?=(\d{3})+$)/g, ',');
}

/** Hours, minutes or seconds, whichever is readable. */
export function duration(value: number): string {
  if (value >= 7200) return `${(value / 3600).toFixed(1)} h`;
  return value >= 120 ? `${(value / 60).toFixed(1)} min` : `${value.toFixed(1)} s`;
}
