/** What the user can put right. Its message is all that is printed: no stack. */
export class UserError extends Error {}

/** What the promise gives. Where it fails for a reason that is told in words, those are all that is printed. */
export async function inWords<T>(promise: Promise<T>): Promise<T> {
  try {
    return await promise;
  } catch (error) {
    // Faults of the program and of the system keep their class, and their stack.
    if (error instanceof Error && error.constructor === Error && !('code' in error)) {
      throw new UserError(error.message, { cause: error });
    }
    throw error;
  }
}
