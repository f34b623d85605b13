/** A structured log line for each round of a fleet: what was known, in place of a question why it grew. */
export function loadLine(
  backend: string,
  { now, ...reading }: { readonly now: number },
  load: object | undefined,
): string {
  return JSON.stringify({
    time: new Date(now).toISOString(),
    level: load ? 'info' : 'warn',
    message: load ? 'fleet load' : 'fleet load unknown',
    Backend: backend,
    ...load,
    reading,
  });
}
