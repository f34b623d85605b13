import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { Bucket } from '../../../lambda/aws/bucket';
import { LandingFiles } from '../../../lambda/pipeline-store/landing-files';
import { type ScriptedService, scriptedService } from '../aws/fixture';

const DENIED = '<Error><Code>AccessDenied</Code><Message>explicit deny in a resource-based policy</Message></Error>';

describe('files that have landed where a malware scan says what may be read', () => {
  let s3: ScriptedService;
  /** The object in the bucket: what its tags are, none where it is not scanned, and what identifies its content. */
  let stored: { tags: Record<string, string>; etag: string } | undefined;

  beforeAll(async () => {
    s3 = await scriptedService('s3');
    s3.answer = (response, { url }) => {
      const { pathname, searchParams } = new URL(url, 'http://s3');
      if (searchParams.has('list-type')) {
        const keys = stored ? ['incoming/a.md', 'incoming/a.md.old'] : ['incoming/a.md.old'];
        const contents = keys.map(
          (key) => `<Contents><Key>${key}</Key><ETag>&quot;${stored?.etag}&quot;</ETag></Contents>`,
        );
        response.end(`<ListBucketResult>${contents.join('')}</ListBucketResult>`);
      } else if (searchParams.has('tagging')) {
        const tags = Object.entries(stored!.tags).map(
          ([key, value]) => `<Tag><Key>${key}</Key><Value>${value}</Value></Tag>`,
        );
        response.end(`<Tagging><TagSet>${tags.join('')}</TagSet></Tagging>`);
      } else if (
        stored?.tags.GuardDutyMalwareScanStatus === 'NO_THREATS_FOUND' &&
        pathname === '/landing/incoming/a.md'
      ) {
        response.writeHead(206, { etag: `"${stored.etag}"`, 'content-length': '4' }).end('text');
      } else {
        response.writeHead(403).end(DENIED);
      }
    };
  });
  beforeEach(() => {
    s3.seen.length = 0;
    stored = { tags: {}, etag: 'planned' };
  });
  afterAll(() => s3.close());

  async function read(isScanned = true): Promise<string> {
    const bucket = new Bucket(s3.service, 'landing');
    const files = new LandingFiles(bucket, s3.service, 'landing', 'incoming/', isScanned);
    files.expect('a.md', 'planned');
    const pieces: Buffer[] = [];
    for await (const piece of files.read('a.md', 0, 4)) pieces.push(piece);
    return Buffer.concat(pieces).toString();
  }

  it('are read where they are clean, without another call', async () => {
    stored!.tags = { team: 'search', GuardDutyMalwareScanStatus: 'NO_THREATS_FOUND' };
    expect(await read()).toBe('text');
    expect(s3.seen).toHaveLength(1);
  });

  it.each(['THREATS_FOUND', 'UNSUPPORTED', 'ACCESS_DENIED', 'FAILED'])(
    'are not clean where it says %s',
    async (status) => {
      stored!.tags = { team: 'search', GuardDutyMalwareScanStatus: status };
      await expect(read()).rejects.toMatchObject({
        ...{ name: 'UncleanFile', status, message: `is not clean: the malware scan says ${status}` },
      });
    },
  );

  it('are waited for where it has said nothing yet', async () => {
    stored!.tags = { team: 'search' };
    await expect(read()).rejects.toMatchObject({
      name: 'NotYetScanned',
      message: expect.stringContaining('the file a.md is not scanned yet') as unknown,
    });
  });

  it('are no mixture: one that was replaced or is gone is an error, whatever the scan says of another', async () => {
    stored = { tags: { GuardDutyMalwareScanStatus: 'THREATS_FOUND' }, etag: 'other' };
    await expect(read()).rejects.toThrow('the file a.md was replaced since the run was planned');
    stored = undefined;
    await expect(read()).rejects.toThrow('the file a.md is gone since the run was planned');
  });

  it('are refused as S3 refuses them where that is not for a scan', async () => {
    await expect(read(false)).rejects.toMatchObject({ name: 'AwsError', code: 'AccessDenied' });
    expect(s3.seen).toHaveLength(1);
  });
});
