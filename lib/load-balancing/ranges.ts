import { type Duration, Token } from 'aws-cdk-lib';

/** @throws where a time is none that a load balancer takes; one that only a deployment knows passes. */
export function validateSeconds(name: string, value: Duration | undefined, min: number, max: number): void {
  if (value === undefined || value.isUnresolved()) return;
  if (value.toSeconds() >= min && value.toSeconds() <= max) return;
  throw new Error(`${name} must be from ${min} to ${max} seconds, got ${value.toHumanString()}`);
}

/** @throws where a number is no port; one that only a deployment knows passes. */
export function validatePort(name: string, value: number | undefined): void {
  if (value === undefined || Token.isUnresolved(value)) return;
  if (Number.isInteger(value) && value >= 1 && value <= 65535) return;
  throw new Error(`${name} must be a whole number from 1 to 65535, got ${value}`);
}
