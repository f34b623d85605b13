/** Answers the questions of the process that started this one, and ends with it. */
export function serveParent<Question, Answer>(answer: (question: Question) => Promise<Answer> | Answer): void {
  const send = (message: object) => process.send?.(message);
  process.on('disconnect', () => process.exit());
  process.on('message', ({ id, value }: { id: number; value: Question }) => {
    Promise.resolve(value)
      .then(answer)
      .then(
        (reply) => send({ id, value: reply }),
        (error: unknown) =>
          send({ id, error: error instanceof Error ? (error.stack ?? error.message) : String(error) }),
      );
  });
  send({ id: 0 });
}
