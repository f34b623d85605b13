import type { Duration } from 'aws-cdk-lib';
import * as elbv2 from 'aws-cdk-lib/aws-elasticloadbalancingv2';
import { validatePort, validateSeconds } from './ranges';

/** How an endpoint chooses the instance for a request. */
export enum Balancing {
  /** The one with the fewest requests in flight. */
  LEAST_OUTSTANDING_REQUESTS = 'least-outstanding-requests',
  /** Any, by chance; less often one that fails more than the others (anomaly mitigation). */
  WEIGHTED_RANDOM = 'weighted-random',
  /** Each in turn. For instances and requests that are alike; the one with a slow start. */
  ROUND_ROBIN = 'round-robin',
  /**
   * One that has room: an agent on each instance tells the balancer (Target Optimizer). Where none has, the answer is 503.
   * The fleet must have `concurrencyControl`.
   */
  BOUNDED_CONCURRENCY = 'bounded-concurrency',
}

/** What a target group has to know of the way of balancing. */
interface BalancingOptions {
  readonly balancing?: Balancing;
  readonly slowStart?: Duration;
  readonly controlPort?: number;
}

/** The properties of a target group by which it balances so; the agent's port is set on the L1. */
export function balancingProperties({
  balancing = Balancing.LEAST_OUTSTANDING_REQUESTS,
  slowStart,
}: BalancingOptions): elbv2.ApplicationTargetGroupProps {
  const algorithms = elbv2.TargetGroupLoadBalancingAlgorithmType;
  switch (balancing) {
    case Balancing.LEAST_OUTSTANDING_REQUESTS:
      return { loadBalancingAlgorithmType: algorithms.LEAST_OUTSTANDING_REQUESTS };
    case Balancing.WEIGHTED_RANDOM:
      return { loadBalancingAlgorithmType: algorithms.WEIGHTED_RANDOM, enableAnomalyMitigation: true };
    case Balancing.ROUND_ROBIN:
      return { loadBalancingAlgorithmType: algorithms.ROUND_ROBIN, slowStart };
    case Balancing.BOUNDED_CONCURRENCY:
      // The agents say who takes the next request: no algorithm chooses.
      return {};
  }
}

/** The port on which agents and balancer speak, or none. */
export function controlPortOf({ balancing, controlPort }: BalancingOptions): number | undefined {
  return balancing === Balancing.BOUNDED_CONCURRENCY ? (controlPort ?? 3000) : undefined;
}

/** @throws where settings contradict each other, with what to write instead. */
export function validateBalancing(options: BalancingOptions, targetPort: number): void {
  const { balancing, slowStart, controlPort } = options;
  if (slowStart && balancing !== Balancing.ROUND_ROBIN) {
    throw new Error(
      `slowStart needs balancing of Balancing.ROUND_ROBIN, got ${balancing ?? 'the default, least outstanding requests'}: load balancers combine it with no other; leave it out, since an instance is in service only once its model has answered`,
    );
  }
  validateSeconds('slowStart', slowStart, 30, 900);
  if (controlPort !== undefined && balancing !== Balancing.BOUNDED_CONCURRENCY) {
    throw new Error('controlPort goes with Balancing.BOUNDED_CONCURRENCY: leave it out, or balance so');
  }
  validatePort('targetPort', targetPort);
  validatePort('controlPort', controlPort);
  if (controlPortOf(options) === targetPort) {
    throw new Error(`controlPort must differ from targetPort, where requests arrive, got ${targetPort} for both`);
  }
}
