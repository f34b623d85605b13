/**
 * Runs a task for each item, some at the same time, and hands on the results in the items' order. Memory holds as many
 * results as tasks may run.
 *
 * @param atOnce the most tasks that run, asked again for each: at least one does
 */
export async function* inOrder<Item, Result>(
  items: AsyncIterable<Item>,
  atOnce: () => number,
  task: (item: Item) => Promise<Result>,
): AsyncGenerator<Result> {
  const running: Promise<Result>[] = [];
  try {
    for await (const item of items) {
      const started = task(item);
      // A failure is met in its turn, and is none that nobody handles until then.
      started.catch(() => undefined);
      running.push(started);
      while (running.length >= Math.max(1, atOnce())) {
        const [first] = running.splice(0, 1);
        if (first) yield await first;
      }
    }
    for (const rest of running) yield await rest;
  } finally {
    await Promise.allSettled(running);
  }
}
