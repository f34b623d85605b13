/** Prints what a test measured, past Jest's console: an assertion says that it holds, this says by how much. */
export function report(name: string, values: object): void {
  process.stdout.write(`${name}: ${JSON.stringify(values)}\n`);
}

/** The value in the middle. */
export function median(values: readonly number[]): number {
  return quantile(values, 0.5);
}

/** The value that a share of all values does not exceed. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? NaN;
}
