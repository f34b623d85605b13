import { escapedFully } from '../security/signed-request';
import { elementOf } from './aws-error';
import { exchange } from './exchange';
import type { AwsService } from './service';

/** An object in a listing. */
export interface ListedObject {
  readonly key: string;
  readonly bytes: number;
  /** Without its quotation marks. */
  readonly etag: string;
  /** When it was written, milliseconds since 1970. */
  readonly modifiedMs: number;
}

/** Lists the objects of a bucket whose keys have a prefix, in the order of their keys, page by page as they are asked for. */
export async function* listObjects(
  service: AwsService,
  bucket: string,
  prefix: string,
): AsyncGenerator<ListedObject, void, undefined> {
  let token: string | undefined;
  do {
    const xml: string = await exchange(service, {
      ...{ operation: 'ListObjectsV2', method: 'GET', isRepeatable: true },
      ...bucketAddress(service, bucket),
      // Keys may hold what XML cannot.
      query: { 'encoding-type': 'url', 'list-type': '2', prefix, ...(token && { 'continuation-token': token }) },
      read: (answer) => answer.text(),
    });
    for (const [, contents] of xml.matchAll(/<Contents>(.*?)<\/Contents>/gs)) {
      const key = elementOf(contents!, 'Key') ?? '';
      yield {
        key: decodeURIComponent(key.replaceAll('+', ' ')),
        bytes: Number(elementOf(contents!, 'Size')),
        etag: (elementOf(contents!, 'ETag') ?? '').replaceAll('"', ''),
        modifiedMs: Date.parse(elementOf(contents!, 'LastModified') ?? ''),
      };
    }
    token = elementOf(xml, 'NextContinuationToken');
  } while (token);
}

/** A bucket is spoken to by its host, or, at an emulator, whose host has one name, by its path. */
export function bucketAddress(service: AwsService, bucket: string): { readonly origin: URL; readonly path: string } {
  if (service.isElsewhere) return { origin: service.origin, path: `/${escapedFully(bucket)}` };
  return { origin: new URL(`${service.origin.protocol}//${bucket}.${service.origin.host}`), path: '/' };
}
