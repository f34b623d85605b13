import { createHash } from 'node:crypto';
import { Stack } from 'aws-cdk-lib';
import type { IConstruct } from 'constructs';

/** Digits of the hash: 96 bits, so that no two APIs of an account share a prefix. */
const DIGITS = 24;

/**
 * What the values of an API's usage keys begin with; the tenant's name follows. Whoever makes the keys and whoever names
 * them to API Gateway compute it on their own, so that neither has to wait for the other.
 *
 * API Gateway wants the value of an API key to count a request by, and one that it made itself is known to nobody here.
 * Such a value is no secret and opens nothing: its hash stands in no directory. It must be unique in account and region,
 * as the name of the stack and the place of the API in it are, and has 20 to 128 characters: 31 and those of the name.
 */
export function usageKeyPrefix(restApi: IConstruct): string {
  const place = `${outermostStack(restApi).stackName}\n${restApi.node.path}`;
  return `usage-${createHash('sha256').update(place).digest('hex').slice(0, DIGITS)}-`;
}

/** The name of a nested stack is known at deployment only. */
function outermostStack(construct: IConstruct): Stack {
  let stack = Stack.of(construct);
  while (stack.nestedStackParent) stack = stack.nestedStackParent;
  return stack;
}
