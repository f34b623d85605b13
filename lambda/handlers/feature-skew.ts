import { listObjects } from '../aws/object-list';
import { awsService } from '../aws/service';
import { skewLine } from '../data-pipeline/features/feature-lines';
import { offlineRows } from '../data-pipeline/features/offline-file';
import type { ServedSample } from '../data-pipeline/features/served-sample';
import { skewRound } from '../data-pipeline/features/skew-round';
import { featureDefinition, featureMetricsNames, offlineBucket } from '../feature-store/environment';
import { lineWriter } from '../observability/line-writer';
import { requiredVariable } from '../security/environment';

/** As much as fits into the function's memory several times over, once it is read. */
const MOST_BYTES = 32 * 1024 * 1024;
const WINDOW_HOURS = 24;

const environment = process.env;
const definition = featureDefinition(environment);
const names = featureMetricsNames(environment);
const bucket = offlineBucket(environment);
const storage = awsService(environment, 's3', 10_000);
const bucketName = requiredVariable(environment, 'OFFLINE_BUCKET');
const { TRAINING_FIRST_DAY: first, TRAINING_LAST_DAY: last } = environment;
const writeLine = lineWriter(process.stdout);

/** Entry point of the schedule: compares what was served with what models were trained on. */
export async function handler(): Promise<void> {
  const settings = { windowHours: WINDOW_HOURS, mostBytes: MOST_BYTES };
  await skewRound(
    definition,
    { ...settings, ...(first && last && { trainingDays: { first, last } }) },
    {
      list: (prefix) => listObjects(storage, bucketName, prefix),
      readSamples: async (key) => linesOf(await bucket.text(key)),
      readRows: async (key, features) => {
        const object = await bucket.get(key);
        if (!object) return [];
        const chunks: Uint8Array[] = [];
        for await (const chunk of object.body) chunks.push(chunk);
        return offlineRows(Buffer.concat(chunks), features);
      },
      now: Date.now,
      random: Math.random,
      found: (feature, skew) => {
        writeLine(skewLine(feature, skew, Date.now(), names));
      },
    },
  );
}

/** What a lifecycle has removed since it was listed has no lines. */
function linesOf(text = ''): ServedSample[] {
  return text
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line) as ServedSample);
}
