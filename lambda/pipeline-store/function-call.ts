import { exchange } from '../aws/exchange';
import type { AwsService } from '../aws/service';
import { escapedFully } from '../security/signed-request';
import type { CallFunction } from '../data-pipeline/stages/function-stage';

/** A function that was called has failed: it says what it threw. */
export class FunctionError extends Error {}

/**
 * Calls a user's function with `{ records }`.
 *
 * @throws where the call fails, and where the function does
 */
export function lambdaCall(service: AwsService, functionArn: string): CallFunction {
  return (records) => invoke(service, functionArn, { records });
}

/**
 * Invokes a function and waits for its answer. To carry the call out twice comes to the same.
 *
 * @throws where the call fails, and a {@link FunctionError} where the function does
 */
export function invoke(service: AwsService, functionArn: string, event: object): Promise<unknown> {
  return exchange(service, {
    ...{ operation: 'Invoke', method: 'POST', isRepeatable: true },
    path: `/2015-03-31/functions/${escapedFully(functionArn)}/invocations`,
    body: JSON.stringify(event),
    read: async (answer) => {
      const text = await answer.text();
      if (answer.headers.get('x-amz-function-error')) throw new FunctionError(`the function failed: ${thrown(text)}`);
      return JSON.parse(text) as unknown;
    },
  });
}

/** What a function threw: Lambda gives its message, with its type and where it stood. */
function thrown(text: string): string {
  const { errorMessage } = JSON.parse(text) as { readonly errorMessage?: unknown };
  return (typeof errorMessage === 'string' ? errorMessage : text).slice(0, 500);
}
