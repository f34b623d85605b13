import { RemovalPolicy } from 'aws-cdk-lib';
import * as dynamodb from 'aws-cdk-lib/aws-dynamodb';
import type * as kms from 'aws-cdk-lib/aws-kms';
import { Construct } from 'constructs';

/** Properties of a tenant directory. */
export interface TenantDirectoryProps {
  /**
   * Encrypts the table.
   *
   * @default - encrypted by a key that DynamoDB owns
   */
  readonly encryptionKey?: kms.IKey;

  /**
   * What happens to the table when it leaves the stack. The deployment writes it anew, so nothing is lost with it.
   *
   * @default RemovalPolicy.DESTROY
   */
  readonly removalPolicy?: RemovalPolicy;
}

/**
 * Who may call: a table from the SHA-256 hash of a tenant's key to the tenant and its plan. It never holds a key.
 */
export class TenantDirectory extends Construct {
  /** The table: partition key `keyHash`; attributes `tenant`, `plan`, `keyId`. */
  public readonly table: dynamodb.Table;

  constructor(scope: Construct, id: string, props: TenantDirectoryProps = {}) {
    super(scope, id);
    this.table = new dynamodb.Table(this, 'Table', {
      partitionKey: { name: 'keyHash', type: dynamodb.AttributeType.STRING },
      billingMode: dynamodb.BillingMode.PAY_PER_REQUEST,
      encryption: props.encryptionKey ? dynamodb.TableEncryption.CUSTOMER_MANAGED : dynamodb.TableEncryption.DEFAULT,
      encryptionKey: props.encryptionKey,
      pointInTimeRecoverySpecification: { pointInTimeRecoveryEnabled: true },
      removalPolicy: props.removalPolicy ?? RemovalPolicy.DESTROY,
    });
  }
}
