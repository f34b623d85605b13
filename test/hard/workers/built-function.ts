import { type LambdaFunction, loadFunction } from '../../../bin/start/lambda-runtime';

/** Starts the built inference function, `HANDLER_FILE`, as Lambda starts an instance of it. */
export function builtFunction(onLine: (line: string) => void = () => undefined): Promise<LambdaFunction> {
  return loadFunction(
    {
      id: 'inference',
      file: process.env.HANDLER_FILE ?? '',
      handler: 'handler',
      timeoutMs: 300_000,
      environment: { ...(process.env as Record<string, string>) },
    },
    onLine,
  );
}
