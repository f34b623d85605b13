import type { ItemMessage } from '../item';

/**
 * What was refused in one invocation: where a limit of a tenant, or the backends of a model, let one item not pass, they let
 * no other pass for a while, and nobody asks them.
 */
export class RefusedGroups {
  private readonly until = new Map<string, number>();

  /** Notes a refusal that lasts, until then (milliseconds since 1970). */
  public close(item: ItemMessage, model: string, until: number): void {
    const group = groupOf(item, model);
    this.until.set(group, Math.max(until, this.until.get(group) ?? 0));
  }

  /** For how long an item of that tenant and model would be refused; undefined where it is to ask. */
  public waitOf(item: ItemMessage, model: string, now: number): number | undefined {
    const until = this.until.get(groupOf(item, model));
    return until !== undefined && until > now ? until - now : undefined;
  }
}

function groupOf({ tenant }: ItemMessage, model: string): string {
  return JSON.stringify([tenant, model]);
}
