import { exchange } from '../aws/exchange';
import type { AwsService } from '../aws/service';
import { escapedFully } from '../security/signed-request';
import type { CallFunction } from '../data-pipeline/stages/function-stage';

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
 * @throws where the call fails, and where the function does
 */
export function invoke(service: AwsService, functionArn: string, event: object): Promise<unknown> {
  return exchange(service, {
    ...{ operation: 'Invoke', method: 'POST', isRepeatable: true },
    path: `/2015-03-31/functions/${escapedFully(functionArn)}/invocations`,
    body: JSON.stringify(event),
    read: async (answer) => {
      const text = await answer.text();
      if (answer.headers.get('x-amz-function-error')) throw new Error(`the function failed: ${text.slice(0, 500)}`);
      return JSON.parse(text) as unknown;
    },
  });
}
