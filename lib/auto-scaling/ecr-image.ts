import { Aws, Token } from 'aws-cdk-lib';
import * as iam from 'aws-cdk-lib/aws-iam';
import { acknowledge } from '../security/acknowledge';

/** A piece of an image's address: a character, or a token that stands for some. */
const PIECE = String.raw`\$\{Token\[[^\]]+\]\}|[a-z0-9-]`;

/**
 * The address of an image in a private registry of ECR: account, region and repository, then tag or digest. Dual-stack
 * hosts have a hyphen before `ecr`. Of a token the address shows where it stands, not what it will be, and that will do.
 */
const ECR_IMAGE = new RegExp(
  String.raw`^((?:${PIECE})+)\.dkr[.-]ecr(?:-fips)?\.((?:${PIECE})+)\.[^/]+/((?:${PIECE}|[._/])+)(?:[:@].*)?$`,
);

/** Whether an image may lie in a private registry of ECR: it does, or its address is known at deployment only. */
export function mayBeInEcr(image: string): boolean {
  return Token.isUnresolved(image) || ECR_IMAGE.test(image);
}

/**
 * Lets instances pull those of their images that lie in private registries of ECR, and no others. An image whose whole
 * address is one token cannot be told from one of another registry: it is left to the user to grant.
 */
export function grantPull(role: iam.Role, images: readonly string[]): void {
  const repositories = images.flatMap((image) => {
    const [, account, region, repository] = ECR_IMAGE.exec(image) ?? [];
    return repository === undefined ? [] : [`arn:${Aws.PARTITION}:ecr:${region}:${account}:repository/${repository}`];
  });
  if (repositories.length === 0) return;
  // Below the role, so that what waits for the role waits for it.
  const policy = new iam.Policy(role, 'Pull', {
    roles: [role],
    statements: [
      new iam.PolicyStatement({
        actions: ['ecr:BatchCheckLayerAvailability', 'ecr:BatchGetImage', 'ecr:GetDownloadUrlForLayer'],
        resources: repositories,
      }),
      new iam.PolicyStatement({ actions: ['ecr:GetAuthorizationToken'], resources: ['*'] }),
    ],
  });
  acknowledge(policy, {
    'AwsSolutions-IAM5[Resource::*]':
      'GetAuthorizationToken has no resource-level permissions; what may be pulled is held to the repositories of the images.',
  });
}

/**
 * The bash function `log_in`, which is called before each start of a container, since a password of ECR lasts 12 hours. It
 * keeps it in a folder of its own, so that what the machine's image is set up for stays as it is.
 *
 * @param folder where passwords are kept, one folder for each container
 */
export function logInFunction(folder: string): string {
  return `log_in() { # container, image
  local registry=\${2%%/*}
  if [[ ! $registry =~ ^[0-9]+\\.dkr[.-]ecr(-fips)?\\.([a-z0-9-]+)\\. ]]; then return; fi
  export DOCKER_CONFIG=${folder}/$1
  aws ecr get-login-password --region "\${BASH_REMATCH[2]}" |
    docker login --username AWS --password-stdin "$registry" >/dev/null
}
`;
}
