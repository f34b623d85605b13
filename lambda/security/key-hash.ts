import { createHash } from 'node:crypto';

/**
 * The form in which a key is kept: SHA-256 in hex. No salt and no slow hash: keys are long and random, so there is
 * nothing to guess, and the hash is the table's key.
 */
export function hashKey(key: string): string {
  return createHash('sha256').update(key, 'utf8').digest('hex');
}
