import { ArnFormat, CustomResource, Duration, RemovalPolicy, Stack } from 'aws-cdk-lib';
import * as acm from 'aws-cdk-lib/aws-certificatemanager';
import type * as cloudwatch from 'aws-cdk-lib/aws-cloudwatch';
import * as events from 'aws-cdk-lib/aws-events';
import * as targets from 'aws-cdk-lib/aws-events-targets';
import * as iam from 'aws-cdk-lib/aws-iam';
import * as kms from 'aws-cdk-lib/aws-kms';
import type * as logs from 'aws-cdk-lib/aws-logs';
import { Construct } from 'constructs';
import { HandlerFunction } from '../handlers/handler-function';
import { acknowledge } from '../security/acknowledge';

/** Properties of an endpoint's certificate. */
export interface EndpointCertificateProps {
  /**
   * The name that the certificate is for. It need not resolve: the gateway connects to the balancer's own address and
   * asks for this name.
   *
   * @default 'model-endpoint.internal'
   */
  readonly serverName?: string;

  /**
   * How long a certificate is valid, 7 to 825 days. Once a third of it is left, it is replaced, without a deployment.
   *
   * @default Duration.days(398)
   */
  readonly validity?: Duration;

  /**
   * Change it to renew certificate and authority with the next deployment: the authority is valid for ten years. Old and new
   * are trusted side by side meanwhile.
   *
   * @default '1'
   */
  readonly serial?: string;

  /**
   * Encrypts the log of the function that makes the certificate.
   *
   * @default - encrypted by CloudWatch Logs' own key
   */
  readonly encryptionKey?: kms.IKey;

  /**
   * How long that log is kept.
   *
   * @default RetentionDays.THREE_MONTHS
   */
  readonly logRetention?: logs.RetentionDays;

  /**
   * What happens to that log when it leaves the stack.
   *
   * @default RemovalPolicy.RETAIN
   */
  readonly removalPolicy?: RemovalPolicy;
}

/**
 * A certificate for internal load balancers, made at deployment and replaced before it expires: TLS inside the network
 * without a public domain or a private certificate authority. Its key goes from the function's memory to Certificate Manager
 * and nowhere else. It is signed by an authority of its own, whose key cannot leave KMS: that is what the gateway trusts,
 * so that it need not learn of a new certificate.
 */
export class EndpointCertificate extends Construct {
  /** The certificate. Its ARN stays when it is replaced. */
  public readonly certificate: acm.ICertificate;

  /** The key of the authority, which signs certificates and nothing else. */
  public readonly authorityKey: kms.Key;

  /** What replaces the certificate in time, each day. */
  public readonly renewal: events.Rule;

  /** How long a certificate is valid. */
  public readonly validity: Duration;

  /** The name that it is for. */
  public readonly serverName: string;

  /** The certificate of its authority, PEM: what a client has to trust, for `serverName` alone. */
  public readonly pem: string;

  constructor(scope: Construct, id: string, props: EndpointCertificateProps = {}) {
    super(scope, id);
    this.serverName = props.serverName ?? 'model-endpoint.internal';
    this.validity = props.validity ?? Duration.days(398);
    const days = this.validity.toDays();
    validateProps(this.serverName, days, props.serial);

    this.authorityKey = new kms.Key(this, 'AuthorityKey', {
      description: 'Signs the certificates of the internal load balancers',
      keySpec: kms.KeySpec.ECC_NIST_P256,
      keyUsage: kms.KeyUsage.SIGN_VERIFY,
      // Nothing is encrypted by it, and who trusts it goes with it.
      removalPolicy: RemovalPolicy.DESTROY,
    });

    const maker = new HandlerFunction(this, 'Maker', {
      handler: 'endpoint-certificate',
      description: 'Makes and renews the certificate of the internal load balancers',
      timeout: Duration.minutes(5),
      encryptionKey: props.encryptionKey,
      logRetention: props.logRetention,
      removalPolicy: props.removalPolicy,
    });
    const anyCertificate = Stack.of(this).formatArn({
      service: 'acm',
      resource: 'certificate',
      resourceName: '*',
      arnFormat: ArnFormat.SLASH_RESOURCE_NAME,
    });
    maker.role.addToPolicy(
      new iam.PolicyStatement({
        actions: ['acm:ImportCertificate', 'acm:GetCertificate', 'acm:DeleteCertificate', 'acm:AddTagsToCertificate'],
        resources: [anyCertificate],
      }),
    );
    this.authorityKey.grant(maker.role, 'kms:GetPublicKey', 'kms:Sign');
    acknowledge(maker.role, {
      'AwsSolutions-IAM5[Resource::arn:<AWS::Partition>:acm:<AWS::Region>:<AWS::AccountId>:certificate/*]':
        'The id of an imported certificate is chosen by Certificate Manager when it is imported.',
    });

    const request = { ServerName: this.serverName, ValidityDays: days, AuthorityKey: this.authorityKey.keyArn };
    const resource = new CustomResource(this, 'Resource', {
      resourceType: 'Custom::EndpointCertificate',
      serviceToken: maker.function.functionArn,
      properties: { ...request, Serial: props.serial ?? '1' },
    });
    resource.node.addDependency(maker.role);
    this.certificate = acm.Certificate.fromCertificateArn(this, 'Certificate', resource.getAttString('Arn'));
    this.pem = resource.getAttString('Certificate');

    this.renewal = new events.Rule(this, 'Renewal', {
      description: 'Replaces the certificate of the internal load balancers before it expires',
      schedule: events.Schedule.rate(Duration.days(1)),
      targets: [
        new targets.LambdaFunction(maker.function, {
          event: events.RuleTargetInput.fromObject({ ...request, CertificateArn: this.certificate.certificateArn }),
        }),
      ],
    });
  }

  /** Days until the certificate expires, once a day; no data once it has. */
  public metricDaysToExpiry(props?: cloudwatch.MetricOptions): cloudwatch.Metric {
    return this.certificate.metricDaysToExpiry(props);
  }
}

function validateProps(serverName: string, days: number, serial: string | undefined): void {
  if (!/^(?=.{1,64}$)[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)+$/.test(serverName)) {
    throw new Error(
      `serverName must be a host name of at most 64 lower-case characters, such as "models.internal", got "${serverName}"`,
    );
  }
  if (days < 7 || days > 825) {
    throw new Error(`validity must be from 7 to 825 days, since it is looked at once a day, got ${days}`);
  }
  if (serial === '') throw new Error('serial must not be empty: leave it out for "1", or count it up');
}
