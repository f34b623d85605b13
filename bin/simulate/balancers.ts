import type { Random } from './random';

/** What a load balancer knows of a target. */
export interface Target {
  /** Requests that it has sent there and that have not ended. */
  readonly outstanding: number;
  /** Their tokens, as the gateway counts them. */
  readonly outstandingTokens: number;
}

/** How a load balancer chooses. */
export type Balancer<T extends Target> = (targets: readonly T[]) => T | undefined;

/** Names of the balancers, as the command line takes them. */
export const BALANCERS = [
  'round-robin',
  'least-outstanding-requests',
  'power-of-two-choices',
  'token-weighted',
  'bounded-concurrency',
] as const;
export type BalancerName = (typeof BALANCERS)[number];

/** A balancer and what it needs. */
export interface BalancerSettings {
  readonly name: BalancerName;
  /** Requests that a target of `bounded-concurrency` takes at one time; others are refused. */
  readonly maxConcurrency: number;
}

/** Makes a balancer; each keeps its own place in the round. */
export function balancer<T extends Target>(settings: BalancerSettings, random: Random): Balancer<T> {
  let turn = 0;
  /** The least by `measure`; of equals the next in turn, or all first requests would go to the same one. */
  const least = (targets: readonly T[], measure: (target: T) => number): T | undefined => {
    let best: T | undefined;
    let bestMeasure = Infinity;
    const start = turn++ % Math.max(1, targets.length);
    for (let step = 0; step < targets.length; step++) {
      const at = start + step;
      const target = targets[at < targets.length ? at : at - targets.length]!;
      const own = measure(target);
      if (own < bestMeasure) {
        best = target;
        bestMeasure = own;
      }
    }
    return best;
  };
  const requests = (target: T) => target.outstanding;
  const tokens = (target: T) => target.outstandingTokens;
  switch (settings.name) {
    case 'round-robin':
      return (targets) => targets[turn++ % Math.max(1, targets.length)];
    case 'least-outstanding-requests':
      return (targets) => least(targets, requests);
    case 'power-of-two-choices':
      return (targets) => {
        if (targets.length < 2) return targets[0];
        const one = Math.floor(random() * targets.length);
        const step = 1 + Math.floor(random() * (targets.length - 1));
        const [a, b] = [targets[one]!, targets[(one + step) % targets.length]!];
        return b.outstanding < a.outstanding ? b : a;
      };
    case 'token-weighted':
      return (targets) => least(targets, tokens);
    case 'bounded-concurrency':
      // Agents on the targets ask for work: a target that is full is not chosen, and where all are, the answer is 503.
      return (targets) => {
        const chosen = least(targets, requests);
        return chosen && chosen.outstanding < settings.maxConcurrency ? chosen : undefined;
      };
  }
}
