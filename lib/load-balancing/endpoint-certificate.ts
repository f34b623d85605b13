import { ArnFormat, CustomResource, Duration, type RemovalPolicy, Stack } from 'aws-cdk-lib';
import * as acm from 'aws-cdk-lib/aws-certificatemanager';
import * as iam from 'aws-cdk-lib/aws-iam';
import type * as kms from 'aws-cdk-lib/aws-kms';
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
   * How long the certificate is valid, 1 to 825 days.
   *
   * @default Duration.days(398)
   */
  readonly validity?: Duration;

  /**
   * Change it to replace the certificate: a deployment makes a new one, moves the listeners and the gateway to it, and
   * then deletes the old one.
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
 * A certificate for internal load balancers, made at deployment: TLS inside the network without a public domain or a
 * private certificate authority. The key goes from the function's memory to Certificate Manager and nowhere else; the
 * gateway trusts exactly this certificate.
 */
export class EndpointCertificate extends Construct {
  /** The certificate. */
  public readonly certificate: acm.ICertificate;

  /** The name that it is for. */
  public readonly serverName: string;

  /** The certificate itself, PEM: what a client has to trust. */
  public readonly pem: string;

  constructor(scope: Construct, id: string, props: EndpointCertificateProps = {}) {
    super(scope, id);
    this.serverName = props.serverName ?? 'model-endpoint.internal';
    const days = (props.validity ?? Duration.days(398)).toDays();
    validateProps(this.serverName, days);

    const maker = new HandlerFunction(this, 'Maker', {
      handler: 'endpoint-certificate',
      description: 'Makes the certificate of the internal load balancers',
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
        actions: ['acm:ImportCertificate', 'acm:DeleteCertificate', 'acm:AddTagsToCertificate'],
        resources: [anyCertificate],
      }),
    );
    acknowledge(maker.role, {
      'AwsSolutions-IAM5[Resource::arn:<AWS::Partition>:acm:<AWS::Region>:<AWS::AccountId>:certificate/*]':
        'The id of an imported certificate is chosen by Certificate Manager when it is imported.',
    });

    const resource = new CustomResource(this, 'Resource', {
      resourceType: 'Custom::EndpointCertificate',
      serviceToken: maker.function.functionArn,
      properties: { ServerName: this.serverName, ValidityDays: days, Serial: props.serial ?? '1' },
    });
    resource.node.addDependency(maker.role);
    this.certificate = acm.Certificate.fromCertificateArn(this, 'Certificate', resource.getAttString('Arn'));
    this.pem = resource.getAttString('Certificate');
  }
}

function validateProps(serverName: string, days: number): void {
  if (!/^(?=.{1,64}$)[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)+$/.test(serverName)) {
    throw new Error(
      `serverName must be a host name of at most 64 lower-case characters, such as "models.internal", got "${serverName}"`,
    );
  }
  if (days < 1 || days > 825) {
    throw new Error(`validity must be from 1 to 825 days, got ${days}`);
  }
}
