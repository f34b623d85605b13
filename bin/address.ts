import { InvalidArgumentError } from 'commander';

/** Reads the origin of an address from the command line. */
export function address(value: string): string {
  return new URL(baseAddress(value)).origin;
}

/** Reads an address from the command line, with its path. */
export function baseAddress(value: string): string {
  if (/^https?:\/\//.test(value) && URL.canParse(value)) return value;
  throw new InvalidArgumentError('It must be an address, such as http://localhost:5000.');
}
