import type { AwsCredentialIdentity } from '@smithy/types';

import type { Environment } from './environment';

/**
 * Credentials from the environment, the only place where Lambda puts them. The bundler puts this module in the place of
 * `@aws-sdk/credential-provider-node`, so the name of the export is that package's.
 */
export function defaultProvider(): () => Promise<AwsCredentialIdentity> {
  return () => Promise.resolve(environmentCredentials(process.env));
}

/**
 * Reads the credentials of the function's role.
 *
 * @throws where the access key or its secret is missing
 */
export function environmentCredentials(environment: Environment): AwsCredentialIdentity {
  const { AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN } = environment;
  if (!AWS_ACCESS_KEY_ID || !AWS_SECRET_ACCESS_KEY) {
    throw new Error('no AWS credentials: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY must be set');
  }
  return {
    accessKeyId: AWS_ACCESS_KEY_ID,
    secretAccessKey: AWS_SECRET_ACCESS_KEY,
    ...(AWS_SESSION_TOKEN && { sessionToken: AWS_SESSION_TOKEN }),
  };
}
