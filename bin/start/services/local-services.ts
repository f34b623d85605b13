import {
  FeatureDocument,
  type InferencePolicy,
  type PipelineDefinition,
  PipelineDocument,
  type PlatformFeatureSettings,
  type PlatformPipelineSettings,
} from '../../../lib';
import { dataFaults } from '../../../lib/platform/validate-data';
import { resolvePolicy } from '../../../lib/policy/defaults';
import { resolvePipeline } from '../../../lib/policy/pipeline/pipeline-defaults';
import { UserError } from '../../user-error';

/** What a user has asked for: files of definitions, by the backend that each is to answer. */
export interface ServiceFiles {
  readonly pipelines: Readonly<Record<string, string>>;
  readonly features: Readonly<Record<string, string>>;
}

/** What the platform is given, both by the name of the backend. */
export interface LocalServices {
  readonly dataPipelines: Record<string, PlatformPipelineSettings>;
  readonly featureStores: Record<string, PlatformFeatureSettings>;
}

/**
 * Reads definitions of pipelines and features.
 *
 * @param given settings that are there already, of the reference platform
 * @throws UserError that names every fault, of a file or of what the policy lacks for it
 */
export function loadServices(
  policy: InferencePolicy,
  files: ServiceFiles,
  given: Record<string, PlatformPipelineSettings> = {},
): LocalServices {
  const dataPipelines = { ...given };
  for (const [backend, file] of Object.entries(files.pipelines)) {
    const definition = readable(file, () => PipelineDocument.fromFile(file));
    dataPipelines[backend] = { definition, backend, ...tenantFor(policy, definition) };
  }
  const featureStores: Record<string, PlatformFeatureSettings> = {};
  for (const [backend, file] of Object.entries(files.features)) {
    // What is served here is no sample of what is served to users.
    featureStores[backend] = {
      definition: readable(file, () => FeatureDocument.fromFile(file)),
      backend,
      sampleRate: 0,
    };
  }
  const faults = dataFaults(policy, dataPipelines, featureStores);
  if (faults.length > 0) throw new UserError(faults.map(asOption).join('\n'));
  return { dataPipelines, featureStores };
}

/** Names the option that a fault is of, in place of the property that the platform has for it. */
function asOption(fault: string): string {
  return fault
    .replace(/^dataPipelines\["([^"]*)"\]\.?/, '--pipeline $1, ')
    .replace(/^featureStores\["([^"]*)"\]\.?/, '--features $1, ');
}

/** The first tenant whose plan takes what the definition embeds, or the first of all, for the error that says what it lacks. */
function tenantFor(policy: InferencePolicy, definition: PipelineDefinition): { readonly tenant?: string } {
  const { stages } = resolvePipeline(definition);
  if (!stages.some(({ work }) => work.kind === 'embed')) return {};
  const fitting = resolvePolicy(policy).tenants.find(
    ({ name: tenant }) => dataFaults(policy, { pipeline: { definition, tenant } }, {}).length === 0,
  );
  return { tenant: fitting?.name ?? policy.tenants[0]?.name };
}

function readable<T>(file: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    const { message } = error as Error;
    throw new UserError(message.includes(file) ? message : `${file}: ${message}`);
  }
}
