import { elementOf } from './aws-error';
import { exchange } from './exchange';
import { objectAddress } from './object-address';
import type { AwsService } from './service';

/**
 * The value of an object's tag, or undefined where it has no such tag.
 *
 * @throws AwsError where there is no such object
 */
export async function objectTag(
  service: AwsService,
  bucket: string,
  key: string,
  tag: string,
): Promise<string | undefined> {
  const xml = await exchange(service, {
    ...{ operation: 'GetObjectTagging', method: 'GET', isRepeatable: true },
    ...objectAddress(service, bucket, key),
    query: { tagging: '' },
    read: (answer) => answer.text(),
  });
  for (const [, contents] of xml.matchAll(/<Tag>(.*?)<\/Tag>/gs)) {
    if (elementOf(contents!, 'Key') === tag) return elementOf(contents!, 'Value');
  }
  return undefined;
}
