/**
 * What the command gives. A process that ends before it, because a user's function calls `process.exit` or nothing is left
 * that could settle it, has not done what it was asked to: it says so, and ends with code 1.
 */
export async function wholeCommand<T>(command: () => Promise<T>): Promise<T> {
  const cutOff = () => {
    process.exitCode = 1;
    process.stderr.write('error: the process was ended before the command was; does a function call process.exit?\n');
  };
  process.on('exit', cutOff);
  try {
    return await command();
  } finally {
    process.off('exit', cutOff);
  }
}
