import { defaultProvider } from '@aws-sdk/credential-provider-node';
import { UserError } from './user-error';

/** Where AWS is, as far as the user says so. */
export interface AwsFlags {
  readonly region?: string;
  /** Of an emulator. */
  readonly awsEndpoint?: string;
}

/** The environment of the calls, with the credentials of whoever runs the command, wherever AWS's own tools find them. */
export async function environmentOf({ region, awsEndpoint }: AwsFlags): Promise<NodeJS.ProcessEnv> {
  const { AWS_REGION, AWS_DEFAULT_REGION } = process.env;
  const found = region ?? AWS_REGION ?? AWS_DEFAULT_REGION;
  if (!found) throw new UserError('it is not known which region; pass --region or set AWS_REGION');
  const { accessKeyId, secretAccessKey, sessionToken } = await defaultProvider()().catch((error: unknown) => {
    throw new UserError(`no AWS credentials were found: ${(error as Error).message}`);
  });
  const { AWS_SESSION_TOKEN: _, ...own } = process.env;
  return {
    ...own,
    ...{ AWS_REGION: found, AWS_ACCESS_KEY_ID: accessKeyId, AWS_SECRET_ACCESS_KEY: secretAccessKey },
    ...(sessionToken !== undefined && { AWS_SESSION_TOKEN: sessionToken }),
    ...(awsEndpoint !== undefined && { AWS_ENDPOINT_URL: awsEndpoint }),
  };
}
