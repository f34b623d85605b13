import { elementOf } from './aws-error';
import { exchange } from './exchange';
import { objectAddress } from './object-address';
import { bucketAddress } from './object-list';
import type { AwsService } from './service';

/** What a versioned bucket keeps of an object: a version, or a marker that it was deleted. */
export interface ObjectVersion {
  readonly key: string;
  readonly id: string;
  /** Whether it is what a reader sees, be it that there is nothing. */
  readonly isLatest: boolean;
  readonly isMarker: boolean;
}

/** Lists all versions of objects whose keys have a prefix, page by page as they are asked for. */
export async function* listVersions(
  service: AwsService,
  bucket: string,
  prefix: string,
): AsyncGenerator<ObjectVersion, void, undefined> {
  let next: Readonly<Record<string, string>> | undefined = {};
  while (next) {
    const from: Readonly<Record<string, string>> = next;
    const xml: string = await exchange(service, {
      ...{ operation: 'ListObjectVersions', method: 'GET', isRepeatable: true },
      ...bucketAddress(service, bucket),
      query: { 'encoding-type': 'url', prefix, versions: '', ...from },
      read: (answer) => answer.text(),
    });
    for (const [, kind, contents] of xml.matchAll(/<(Version|DeleteMarker)>(.*?)<\/\1>/gs)) {
      yield {
        key: decoded(elementOf(contents!, 'Key')),
        id: elementOf(contents!, 'VersionId') ?? '',
        isLatest: elementOf(contents!, 'IsLatest') === 'true',
        isMarker: kind === 'DeleteMarker',
      };
    }
    const key = elementOf(xml, 'NextKeyMarker');
    const id = elementOf(xml, 'NextVersionIdMarker');
    next = key === undefined ? undefined : { 'key-marker': decoded(key), ...(id && { 'version-id-marker': id }) };
  }
}

/** Removes a version of an object for good. */
export async function removeVersion(
  service: AwsService,
  bucket: string,
  { key, id }: Pick<ObjectVersion, 'key' | 'id'>,
): Promise<void> {
  await exchange(service, {
    ...{ operation: 'DeleteObjectVersion', method: 'DELETE', isRepeatable: true },
    ...objectAddress(service, bucket, key),
    query: { versionId: id },
    read: () => Promise.resolve(),
  });
}

function decoded(key = ''): string {
  return decodeURIComponent(key.replaceAll('+', ' '));
}
