import { servedLine } from '../data-pipeline/features/feature-lines';
import { countReadings, SampleBuffer } from '../data-pipeline/features/served-sample';
import { serveFeatures } from '../data-pipeline/features/serve';
import { answerService } from '../data-pipeline/service-call';
import {
  featureDefinition,
  featureMetricsNames,
  offlineBucket,
  onlineStore,
  putSamples,
} from '../feature-store/environment';
import { lineWriter } from '../observability/line-writer';

/** A request waits for its sample to be put, now and then: not for long. */
const SAMPLE_TIMEOUT_MS = 500;
const MOST_SAMPLES = 500;
const MOST_SAMPLE_AGE_MS = 60_000;

const environment = process.env;
const definition = featureDefinition(environment);
const names = featureMetricsNames(environment);
const writeLine = lineWriter(process.stdout);
const warn = (part: string, error: unknown) => {
  const message = error instanceof Error ? error.message : String(error);
  writeLine(JSON.stringify({ level: 'warn', message: part, FeatureStore: names.store, 'error.message': message }));
};
const store = onlineStore(environment, definition.name, (error) => {
  warn('online store', error);
});
const bucket = offlineBucket(environment, SAMPLE_TIMEOUT_MS);
const buffer = new SampleBuffer(
  { rate: Number(environment.SAMPLE_RATE ?? 0), mostSamples: MOST_SAMPLES, mostAgeMs: MOST_SAMPLE_AGE_MS },
  { now: Date.now, random: Math.random, put: (samples) => putSamples(bucket, samples, Date.now()) },
);

/** Entry point of the service: answers what features of entities are, from a load balancer or as it is invoked. */
export function handler(event: unknown): Promise<object> {
  return answerService(
    event,
    (request) =>
      serveFeatures(definition, request, {
        store,
        now: Date.now,
        served: async (answer) => {
          writeLine(servedLine(countReadings(answer), answer.entity, Date.now(), names));
          // A sample that is lost costs nobody an answer.
          await buffer.add(answer).catch((error: unknown) => {
            warn('samples', error);
          });
        },
      }),
    (error) => {
      warn('features cannot be served', error);
    },
  );
}
