import { Names, RemovalPolicy, Stack } from 'aws-cdk-lib';
import * as athena from 'aws-cdk-lib/aws-athena';
import * as glue from 'aws-cdk-lib/aws-glue';
import type * as kms from 'aws-cdk-lib/aws-kms';
import type * as s3 from 'aws-cdk-lib/aws-s3';
import { Construct } from 'constructs';
import { DAY_COLUMN, entitiesOf, featuresOf, FIRST_DAY, KEY_COLUMNS } from '../policy/features/columns';
import { type FeatureDefinition, FeatureType } from '../policy/features/definition';
import { SQL_TYPES } from '../policy/features/training-sql';
import { OFFLINE_PREFIX, RESULTS_PREFIX } from '../policy/features/prefixes';

/** Athena refuses a smaller limit. */
const LEAST_LIMIT_BYTES = 10_000_000;

/** Properties of the offline tables. */
export interface OfflineTablesProps {
  /** The features. */
  readonly definition: FeatureDefinition;

  /** Bucket of the tables' files and of the results of queries. */
  readonly bucket: s3.IBucket;

  /**
   * The most bytes that one query may read, at least 10,000,000.
   *
   * @default 1099511627776 - 1 TiB, some 5 dollars
   */
  readonly mostBytesPerQuery?: number;

  /**
   * Encrypts the results of queries.
   *
   * @default - encrypted by S3's own key
   */
  readonly encryptionKey?: kms.IKey;

  /**
   * What happens to the workgroup, with the history of its queries, when it leaves the stack. The results of queries are
   * in the bucket, which has a policy of its own.
   *
   * @default RemovalPolicy.DESTROY - one that is kept would stand in the way of the next stack of the same name
   */
  readonly removalPolicy?: RemovalPolicy;
}

/**
 * The history of features as Athena reads it: a database, a table for each entity whose columns come from the
 * definition, partitioned by the day of the event without a crawler, and a workgroup with encrypted results and a limit.
 */
export class OfflineTables extends Construct {
  /** The database. */
  public readonly database: glue.CfnDatabase;

  /** Name of the database, chosen by CloudFormation. */
  public readonly databaseName: string;

  /** The tables, by entity, whose names they have. */
  public readonly tables: Record<string, glue.CfnTable> = {};

  /** The workgroup. */
  public readonly workGroup: athena.CfnWorkGroup;

  /** Name of the workgroup. */
  public readonly workGroupName: string;

  constructor(scope: Construct, id: string, props: OfflineTablesProps) {
    super(scope, id);
    const limit = props.mostBytesPerQuery ?? 2 ** 40;
    if (!Number.isSafeInteger(limit) || limit < LEAST_LIMIT_BYTES) {
      throw new Error(`mostBytesPerQuery must be a whole number of at least ${LEAST_LIMIT_BYTES}, got ${limit}`);
    }
    const catalogId = Stack.of(this).account;
    this.database = new glue.CfnDatabase(this, 'Database', {
      catalogId,
      databaseInput: { description: `History of the features of ${props.definition.name}` },
    });
    this.databaseName = this.database.ref;
    for (const entity of entitiesOf(props.definition)) {
      this.tables[entity] = new glue.CfnTable(this, `Table-${entity}`, {
        catalogId,
        databaseName: this.databaseName,
        tableInput: tableInput(props.definition, entity, props.bucket),
      });
    }

    const removalPolicy = props.removalPolicy ?? RemovalPolicy.DESTROY;
    this.workGroupName = Names.uniqueResourceName(this, { maxLength: 128, separator: '-' });
    this.workGroup = new athena.CfnWorkGroup(this, 'WorkGroup', {
      name: this.workGroupName,
      description: `Training sets from the features of ${props.definition.name}`,
      recursiveDeleteOption: removalPolicy === RemovalPolicy.DESTROY,
      workGroupConfiguration: {
        enforceWorkGroupConfiguration: true,
        publishCloudWatchMetricsEnabled: true,
        bytesScannedCutoffPerQuery: limit,
        engineVersion: { selectedEngineVersion: 'Athena engine version 3' },
        resultConfiguration: {
          outputLocation: props.bucket.s3UrlForObject(RESULTS_PREFIX),
          encryptionConfiguration: props.encryptionKey
            ? { encryptionOption: 'SSE_KMS', kmsKey: props.encryptionKey.keyArn }
            : { encryptionOption: 'SSE_S3' },
        },
      },
    });
    this.workGroup.applyRemovalPolicy(removalPolicy);
  }
}

/** Columns are found by name, so that files of before a feature was there have nulls. */
function tableInput(
  definition: FeatureDefinition,
  entity: string,
  bucket: s3.IBucket,
): glue.CfnTable.TableInputProperty {
  const { key, event, ingested, id, source } = KEY_COLUMNS;
  const text = SQL_TYPES[FeatureType.TEXT].glue;
  const whole = SQL_TYPES[FeatureType.INTEGER].glue;
  const location = bucket.s3UrlForObject(`${OFFLINE_PREFIX}${entity}`);
  return {
    name: entity,
    description: `Features of ${entity}: a row for each record that came in`,
    tableType: 'EXTERNAL_TABLE',
    parameters: {
      classification: 'parquet',
      'projection.enabled': 'true',
      [`projection.${DAY_COLUMN}.type`]: 'date',
      [`projection.${DAY_COLUMN}.format`]: 'yyyy-MM-dd',
      [`projection.${DAY_COLUMN}.range`]: `${FIRST_DAY},NOW+1DAYS`,
      'storage.location.template': `${location}/${DAY_COLUMN}=\${${DAY_COLUMN}}`,
    },
    partitionKeys: [{ name: DAY_COLUMN, type: text, comment: 'Date of the event, UTC' }],
    storageDescriptor: {
      location: `${location}/`,
      inputFormat: 'org.apache.hadoop.hive.ql.io.parquet.MapredParquetInputFormat',
      outputFormat: 'org.apache.hadoop.hive.ql.io.parquet.MapredParquetOutputFormat',
      serdeInfo: { serializationLibrary: 'org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe' },
      columns: [
        { name: key, type: text, comment: `Which ${entity}` },
        { name: event, type: whole, comment: 'When it was so, milliseconds since 1970' },
        { name: ingested, type: whole, comment: 'When it came in, milliseconds since 1970' },
        { name: id, type: text, comment: 'Orders what came in; unique' },
        { name: source, type: text, comment: 'Version of the source' },
        ...featuresOf(definition, entity).map(({ name, type, description }) => ({
          name,
          type: SQL_TYPES[type].glue,
          // Glue keeps 255 characters.
          ...(description !== undefined && { comment: description.slice(0, 255) }),
        })),
      ],
    },
  };
}
