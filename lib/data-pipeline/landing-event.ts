import type * as events from 'aws-cdk-lib/aws-events';
import { INCOMING_PREFIX } from '../policy/pipeline/prefixes';

/**
 * The event that a file whose name ends so may be read: it has landed or, where what lands is scanned, it is scanned. Such a
 * file says by its name that the others are there, so that one whose content the scan could not look through will do.
 */
export function landingEvent(bucketName: string, suffix: string, isScanned: boolean): events.EventPattern {
  const key = [{ wildcard: `${INCOMING_PREFIX}*${suffix}` }];
  if (!isScanned) {
    return {
      ...{ source: ['aws.s3'], detailType: ['Object Created'] },
      detail: { bucket: { name: [bucketName] }, object: { key } },
    };
  }
  return {
    ...{ source: ['aws.guardduty'], detailType: ['GuardDuty Malware Protection Object Scan Result'] },
    detail: {
      s3ObjectDetails: { bucketName: [bucketName], objectKey: key },
      scanResultDetails: { scanResultStatus: [{ 'anything-but': ['THREATS_FOUND'] }] },
    },
  };
}
