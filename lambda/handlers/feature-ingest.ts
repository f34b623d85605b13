import { ingestLine } from '../data-pipeline/features/feature-lines';
import { ingest, type IngestReport } from '../data-pipeline/features/ingest';
import { recordsOf } from '../data-pipeline/features/ingest-event';
import { featureDefinition, featureMetricsNames, offlineBucket, onlineStore } from '../feature-store/environment';
import { lineWriter } from '../observability/line-writer';

const definition = featureDefinition(process.env);
const names = featureMetricsNames(process.env);
const bucket = offlineBucket(process.env);
const writeLine = lineWriter(process.stdout);
const store = onlineStore(process.env, definition.name, ({ message }) => {
  writeLine(JSON.stringify({ level: 'warn', message: 'online store', 'error.message': message }));
});

/** Entry point of sources: takes a batch of records in, invoked with `{"records": [...]}` or by a queue. */
export async function handler(event: unknown, context: { readonly awsRequestId: string }): Promise<IngestReport> {
  const report = await ingest(definition, recordsOf(event), context.awsRequestId, {
    putFile: async ({ key, body }) => void (await bucket.put(key, body)),
    store,
    now: Date.now,
  });
  writeLine(ingestLine(report, Date.now(), names));
  return report;
}
