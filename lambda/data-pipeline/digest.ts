import { hash } from 'node:crypto';
import { canonical } from '../../lib/policy/pipeline/schema-check';

/** SHA-256 in lower-case hexadecimal digits. */
export function sha256(content: string | Uint8Array): string {
  return hash('sha256', content, 'hex');
}

/** SHA-256 of a value as canonical JSON: the same for equal values, whatever the order of their fields. */
export function digestOf(value: unknown): string {
  return sha256(canonical(value));
}
