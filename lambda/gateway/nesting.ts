/**
 * Levels that a request's body may have. Tools with the deepest of schemas need a few dozen; thousands would exhaust the stack
 * of what walks the body.
 */
export const MAX_LEVELS = 100;

/** Whether lists and objects stand within each other on more levels than so many. */
export function isNestedDeeperThan(levels: number, value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false;
  if (levels === 0) return true;
  const parts: readonly unknown[] = Array.isArray(value) ? value : Object.values(value);
  return parts.some((part) => isNestedDeeperThan(levels - 1, part));
}
