import { readFileSync } from 'node:fs';
import { randomUUID } from 'node:crypto';
import type { FeatureDefinition } from '../../lib/policy/features/definition';
import { Bucket } from '../aws/bucket';
import { awsService } from '../aws/service';
import type { FeatureMetricsNames } from '../data-pipeline/features/feature-lines';
import type { OnlineStore } from '../data-pipeline/features/online-store';
import type { ServedSample } from '../data-pipeline/features/served-sample';
import { samplePrefix } from '../data-pipeline/features/skew-round';
import { type Environment, requiredVariable } from '../security/environment';
import { StoreConnection } from '../store/connection';
import { connectionSettings } from '../store/environment';
import { TableOnlineStore } from './table-online-store';
import { ValkeyOnlineStore } from './valkey-online-store';

const TABLE_TIMEOUT_MS = 1000;
const BUCKET_TIMEOUT_MS = 10_000;

/** Reads the definition that the construct has checked, from its layer. */
export function featureDefinition(environment: Environment): FeatureDefinition {
  const file = environment.FEATURES_FILE ?? '/opt/features.json';
  return JSON.parse(readFileSync(file, 'utf8')) as FeatureDefinition;
}

/** Under which names the store publishes its metrics. */
export function featureMetricsNames(environment: Environment): FeatureMetricsNames {
  return {
    namespace: environment.METRICS_NAMESPACE ?? 'InferencePlatform',
    store: requiredVariable(environment, 'FEATURE_STORE'),
  };
}

/** The online store: the table, or Valkey where the environment names no table. */
export function onlineStore(environment: Environment, name: string, lost: (error: Error) => void): OnlineStore {
  const { ONLINE_TABLE: table } = environment;
  if (table) return new TableOnlineStore(awsService(environment, 'dynamodb', TABLE_TIMEOUT_MS), table);
  const connection = new StoreConnection({ ...connectionSettings(environment), onError: lost });
  return new ValkeyOnlineStore((commands) => connection.trip(commands), name, Date.now);
}

/** The bucket of offline tables, samples and quarantine. */
export function offlineBucket(environment: Environment, timeoutMs = BUCKET_TIMEOUT_MS): Bucket {
  return new Bucket(awsService(environment, 's3', timeoutMs), requiredVariable(environment, 'OFFLINE_BUCKET'));
}

/** Puts samples of what was served where a round of skew finds them. */
export async function putSamples(bucket: Bucket, samples: readonly ServedSample[], nowMs: number): Promise<void> {
  const lines = samples.map((sample) => `${JSON.stringify(sample)}\n`).join('');
  await bucket.put(`${samplePrefix(nowMs)}${randomUUID()}.jsonl`, lines, { contentType: 'application/jsonl' });
}
