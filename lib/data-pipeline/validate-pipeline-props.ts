import { Duration, Token } from 'aws-cdk-lib';
import type { ResolvedPipeline, ResolvedWork } from '../policy/pipeline/pipeline-defaults';
import type { DataPipelineProps } from './data-pipeline-props';

/** A quarter of what a wildcard pattern of EventBridge may have. */
const MOST_SUFFIX = 64;

/** Throws one error that names everything in the properties that does not go together with the definition. */
export function validatePipelineProps(pipeline: ResolvedPipeline, props: DataPipelineProps): void {
  const faults = [
    ...namesOf(pipeline, 'function', props.functions, 'functions', 'a Lambda function'),
    ...namesOf(pipeline, 'glueJob', props.glueJobs, 'glueJobs', 'the name of a Glue job'),
    ...embeddingFaults(pipeline, props),
    ...numberFaults(props),
    ...timeoutFaults(pipeline, props),
  ];
  if (props.triggerSuffix !== undefined && !Token.isUnresolved(props.triggerSuffix)) {
    const { triggerSuffix } = props;
    if (!/^[\w.-]+$/.test(triggerSuffix) || triggerSuffix.length > MOST_SUFFIX) {
      faults.push(`triggerSuffix must be 1 to ${MOST_SUFFIX} letters, digits and any of . _ -, got "${triggerSuffix}"`);
    }
  }
  if (faults.length > 0) throw new Error(faults.join('\n'));
}

/** Each stage that names something needs it, and nothing else is given. */
function namesOf(
  { stages }: ResolvedPipeline,
  kind: 'function' | 'glueJob',
  given: Record<string, unknown> = {},
  field: string,
  what: string,
): string[] {
  const used = new Map<string, string>();
  for (const { name, work } of stages) if (work.kind === kind) used.set(work.name, name);
  const missing = [...used].filter(([name]) => given[name] === undefined);
  const unknown = Object.keys(given).filter((name) => !used.has(name));
  return [
    ...missing.map(([name, stage]) => `${field}["${name}"] is required: the stage "${stage}" needs ${what}`),
    ...unknown.map(
      (name) =>
        `${field}["${name}"] must be named by a stage of the definition (${[...used.keys()].join(', ') || 'none'})`,
    ),
  ];
}

function embeddingFaults({ stages }: ResolvedPipeline, props: DataPipelineProps): string[] {
  const { embeddingUrl, embeddingKey, embedder, embeddingTenant } = props;
  const stage = stages.find(({ work }) => work.kind === 'embed');
  const model = (work: ResolvedWork) => (work.kind === 'embed' ? work.model : '');
  if (stage && embeddingUrl === undefined && !embedder) {
    return [
      `embeddingUrl is required: the stage "${stage.name}" embeds with the model ${model(stage.work)}; or give an embedder`,
    ];
  }
  const given = { embeddingUrl, embeddingKey, embedder, embeddingTenant };
  const [needless] = Object.entries(given).flatMap(([name, value]) => (value === undefined ? [] : [name]));
  if (!stage && needless !== undefined) return [`${needless} needs an embed stage in the definition`];
  if (embedder && (embeddingUrl !== undefined || embeddingKey)) {
    return [`embedder and ${embeddingUrl === undefined ? 'embeddingKey' : 'embeddingUrl'} exclude each other`];
  }
  if ((embedder === undefined) !== (embeddingTenant === undefined)) {
    return [`${embedder ? 'embedder' : 'embeddingTenant'} needs ${embedder ? 'embeddingTenant' : 'an embedder'}`];
  }
  if (embeddingUrl === undefined || Token.isUnresolved(embeddingUrl)) return [];
  const isSecure = URL.canParse(embeddingUrl) && new URL(embeddingUrl).protocol === 'https:';
  return isSecure
    ? []
    : [`embeddingUrl must be an address such as "https://api.example.com/v1", got "${embeddingUrl}"`];
}

/** What a run keeps between its steps is gone after these days. */
function timeoutFaults({ retention: { quarantineDays } }: ResolvedPipeline, { timeout }: DataPipelineProps): string[] {
  if (!timeout || timeout.isUnresolved() || timeout.toSeconds() <= Duration.days(quarantineDays).toSeconds()) return [];
  return [
    `timeout must be at most the ${quarantineDays} days of retention.quarantineDays, got ${timeout.toHumanString()}`,
  ];
}

function numberFaults(props: DataPipelineProps): string[] {
  const {
    maxConcurrency = 10,
    backfillConcurrency,
    toleratedFailurePercentage: tolerated = 0,
    costPerGigabyte,
  } = props;
  const faults: string[] = [];
  if (!Number.isInteger(maxConcurrency) || maxConcurrency < 1 || maxConcurrency > 1000) {
    faults.push(`maxConcurrency must be a whole number from 1 to 1000, got ${maxConcurrency}`);
  }
  const backfill = backfillConcurrency ?? 1;
  if (!Number.isInteger(backfill) || backfill < 1 || backfill > maxConcurrency) {
    faults.push(
      `backfillConcurrency must be a whole number from 1 to maxConcurrency (${maxConcurrency}), got ${backfill}`,
    );
  }
  if (!(tolerated >= 0 && tolerated <= 100)) {
    faults.push(`toleratedFailurePercentage must be a number from 0 to 100, got ${tolerated}`);
  }
  if (costPerGigabyte !== undefined && !(costPerGigabyte >= 0 && costPerGigabyte < Infinity)) {
    faults.push(`costPerGigabyte must be a number of at least 0, got ${costPerGigabyte}`);
  }
  return faults;
}
