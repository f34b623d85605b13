import type * as ec2 from 'aws-cdk-lib/aws-ec2';
import type * as iam from 'aws-cdk-lib/aws-iam';
import type { IConstruct } from 'constructs';

/** The store that handlers share: limits, breaker states and cached answers. `ResponseCache` is one. */
export interface IResponseCache extends IConstruct, ec2.IConnectable {
  /** Address, `rediss://host:port` or `redis://host:port`. */
  readonly url: string;

  /**
   * User for IAM authentication.
   *
   * @default - no authentication
   */
  readonly userName?: string;

  /**
   * Id of the replication group, which IAM tokens are signed for.
   *
   * @default - no authentication
   */
  readonly cacheName?: string;

  /**
   * Version of Valkey, such as `8.2`, the first with the vector search that `cache.semantic` of a policy needs.
   *
   * @default - not known, and not checked
   */
  readonly engineVersion?: string;

  /**
   * Lets an identity connect.
   *
   * @param grantee the identity
   */
  grantConnect(grantee: iam.IGrantable): void;
}

/** Where a backend can be reached inside the network. `ModelEndpoint` is one. */
export interface IModelEndpoint extends IConstruct, ec2.IConnectable {
  /** Base address, before `/v1/...`. */
  readonly url: string;

  /**
   * The name that the endpoint's certificate is for, where it is not the host in `url`.
   *
   * @default - the host in `url`
   */
  readonly serverName?: string;

  /**
   * What vouches for the endpoint, PEM, where no public authority does: the certificate of its own authority, or its
   * own.
   *
   * @default - signed by a public authority
   */
  readonly certificate?: string;
}

/** Embeds texts for parts of the platform. `EmbeddingFunction` is one. */
export interface IEmbedder extends IConstruct {
  /** ARN of the function that embeds. */
  readonly functionArn: string;

  /**
   * Lets a function have texts embedded, in the name of any tenant.
   *
   * @param grantee the function
   */
  grantEmbed(grantee: iam.IGrantable): void;
}
