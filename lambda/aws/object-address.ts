import { escapedFully } from '../security/signed-request';
import type { AwsService } from './service';

/** Where an object, or its bucket, is spoken to. */
export interface ObjectAddress {
  readonly origin: URL;
  /** Escaped once, as S3 signs it. */
  readonly path: string;
}

/**
 * The address of an object: the bucket is in the host, as AWS wants it, or, at an emulator, whose host has one name, in
 * the path.
 *
 * @throws RangeError for a key that URLs cannot hold
 */
export function objectAddress(service: AwsService, bucket: string, key: string): ObjectAddress {
  const parts = key.split('/');
  if (key === '' || parts.some((part) => part === '.' || part === '..')) {
    throw new RangeError(`"${key}" is no object key that an address can hold`);
  }
  const path = parts.map(escapedFully).join('/');
  if (service.isElsewhere) return { origin: service.origin, path: `/${escapedFully(bucket)}/${path}` };
  return { origin: new URL(`${service.origin.protocol}//${bucket}.${service.origin.host}`), path: `/${path}` };
}
