import { AwsError } from '../aws/aws-error';
import { exchange } from '../aws/exchange';
import type { AwsService } from '../aws/service';
import { type CallFunction, FunctionError } from '../data-pipeline/stages/function-stage';
import { escapedFully } from '../security/signed-request';

/** What Lambda answers to an event of more than 6 MB: fewer records may fit. */
const TOO_LARGE = 413;

/**
 * Calls a user's function with `{ records }`.
 *
 * @throws an AwsError where the call fails, and a FunctionError where the function does, or the records are more than it takes
 */
export function lambdaCall(service: AwsService, functionArn: string): CallFunction {
  return async (records) => {
    try {
      return await invoke(service, functionArn, { records });
    } catch (error) {
      if (error instanceof AwsError && error.status === TOO_LARGE)
        throw new FunctionError(error.message, { cause: error });
      throw error;
    }
  };
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
