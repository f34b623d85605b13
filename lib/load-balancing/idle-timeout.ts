import { Duration } from 'aws-cdk-lib';

/** So that whoever waits for an answer gives it up before the connection is cut under it. */
const MARGIN = Duration.seconds(10);

/**
 * How long a connection may be silent where no other time is given: an answer that is not streamed sends no byte before
 * all of it is there.
 *
 * @param atLeast never less than this
 * @param longestAnswer how long an answer may take, where it is known
 */
export function idleTimeoutFor(atLeast: Duration, longestAnswer?: Duration): Duration {
  if (longestAnswer === undefined || longestAnswer.isUnresolved()) return atLeast;
  return Duration.seconds(Math.max(atLeast.toSeconds(), longestAnswer.toSeconds() + MARGIN.toSeconds()));
}
