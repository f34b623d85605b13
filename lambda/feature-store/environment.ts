import { readFileSync } from 'node:fs';
import { randomUUID } from 'node:crypto';
import type { FeatureDefinition } from '../../lib/policy/features/definition';
import { Bucket } from '../aws/bucket';
import { listObjects } from '../aws/object-list';
import { listVersions, removeVersion } from '../aws/object-versions';
import { awsService } from '../aws/service';
import type { FeatureMetricsNames } from '../data-pipeline/features/feature-lines';
import type { OfflineObjects } from '../data-pipeline/features/offline-objects';
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

/** The same bucket, for those who look after what lies in it. */
export function offlineObjects(environment: Environment): OfflineObjects {
  const bucket = offlineBucket(environment);
  const service = awsService(environment, 's3', BUCKET_TIMEOUT_MS);
  const name = requiredVariable(environment, 'OFFLINE_BUCKET');
  async function* stream(key: string): AsyncGenerator<Uint8Array> {
    const object = await bucket.get(key);
    if (object) yield* object.body;
  }
  return {
    list: (prefix) => listObjects(service, name, prefix),
    stream,
    get: async (key) => {
      const object = await bucket.get(key);
      if (!object) return undefined;
      const pieces: Uint8Array[] = [];
      for await (const piece of object.body) pieces.push(piece);
      return Buffer.concat(pieces);
    },
    put: async (key, body) => void (await bucket.put(key, body)),
    remove: (key) => bucket.remove(key),
    purge: async (prefix) => {
      let purged = 0;
      for await (const version of listVersions(service, name, prefix)) {
        // A marker that is the last of an object says that there is nothing, and holds nothing.
        if (version.isLatest) continue;
        await removeVersion(service, name, version);
        purged++;
      }
      return purged;
    },
  };
}

/** Puts samples of what was served where a round of skew finds them. */
export async function putSamples(bucket: Bucket, samples: readonly ServedSample[], nowMs: number): Promise<void> {
  const lines = samples.map((sample) => `${JSON.stringify(sample)}\n`).join('');
  await bucket.put(`${samplePrefix(nowMs)}${randomUUID()}.jsonl`, lines, { contentType: 'application/jsonl' });
}
