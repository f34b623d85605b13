import type { Flow } from './fleet-reading';

/** Over how long let in and turned away are compared, in seconds: as long as the work is averaged. */
const SMOOTHED_SECONDS = 60;

/** Clients ask again for what was turned away, and are counted again: more than so much for what was let in is not believed. */
const MOST_TURNED_AWAY = 1;

/** What a fleet let in and turned away, followed over time. */
export interface FlowMemory {
  readonly flow: Flow & { readonly at: number };
  /** Tokens a second, averaged. */
  readonly letIn: number;
  readonly turnedAway: number;
}

/** Takes a reading of the sums. What they were before is unknown at first, and where they began anew. */
export function followFlow(memory: FlowMemory | undefined, flow: Flow & { readonly at: number }): FlowMemory {
  if (!memory) return { flow, letIn: 0, turnedAway: 0 };
  const seconds = (flow.at - memory.flow.at) / 1000;
  if (seconds <= 0) return memory;
  const isAnew = flow.letIn < memory.flow.letIn || flow.turnedAway < memory.flow.turnedAway;
  const grown = (sum: keyof Flow) => flow[sum] - (isAnew ? 0 : memory.flow[sum]);
  const part = 1 - Math.exp(-seconds / SMOOTHED_SECONDS);
  const follow = (sum: keyof Flow) => memory[sum] + part * (grown(sum) / seconds - memory[sum]);
  return { flow, letIn: follow('letIn'), turnedAway: follow('turnedAway') };
}

/** How many times as much work there is as was let in, at least 1. */
export function askedOverLetIn({ letIn, turnedAway }: FlowMemory): number {
  return letIn === 0 ? 1 : 1 + Math.min(MOST_TURNED_AWAY, turnedAway / letIn);
}
