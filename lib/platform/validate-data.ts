import { Token } from 'aws-cdk-lib';
import { resolvePolicy, type ResolvedPolicy } from '../policy/defaults';
import { isFleet } from '../policy/fleet-backends';
import { ModelKind } from '../policy/model';
import { resolvePipeline, type ResolvedPipeline } from '../policy/pipeline/pipeline-defaults';
import { assertValidPipeline } from '../policy/pipeline/validate-pipeline';
import type { InferencePolicy } from '../policy/policy';
import type { PlatformFeatureSettings, PlatformPipelineSettings } from './platform-data-settings';

/** What may follow a name in a construct id, and stand in a CloudFormation output. */
const NAME = /^[A-Za-z0-9][A-Za-z0-9-]{0,62}$/;

/** What is wrong with the pipelines and feature stores of a platform, by its policy. */
export function dataFaults(
  inferencePolicy: InferencePolicy,
  dataPipelines: Record<string, PlatformPipelineSettings>,
  featureStores: Record<string, PlatformFeatureSettings>,
): string[] {
  const policy = resolvePolicy(inferencePolicy);
  const faults: string[] = [];
  const servers = new Map<string, string>();
  const serve = (where: string, backend: string | undefined) => {
    if (backend === undefined) return;
    const other = servers.get(backend);
    if (other !== undefined) faults.push(`${where}.backend: "${backend}" is answered by ${other} already`);
    servers.set(backend, where);
    faults.push(...backendFaults(where, backend, policy));
  };
  for (const [name, settings] of Object.entries(dataPipelines)) {
    const where = `dataPipelines["${name}"]`;
    faults.push(...nameFaults(where, name));
    assertValidPipeline(settings.definition);
    faults.push(...pipelineFaults(where, settings, resolvePipeline(settings.definition), policy));
    serve(where, settings.backend);
  }
  for (const [name, { backend }] of Object.entries(featureStores)) {
    const where = `featureStores["${name}"]`;
    faults.push(...nameFaults(where, name));
    serve(where, backend);
  }
  return faults;
}

/** Backends of the policy that pipelines and feature stores answer. */
export function dataBackends(...settings: Record<string, { readonly backend?: string }>[]): readonly string[] {
  return settings.flatMap((each) => Object.values(each).flatMap(({ backend }) => backend ?? []));
}

function nameFaults(where: string, name: string): string[] {
  if (!Token.isUnresolved(name) && NAME.test(name)) return [];
  return [`${where}: its name must be 1 to 63 letters, digits and hyphens`];
}

/** A backend that a function answers stands nowhere else, and answers services. */
function backendFaults(where: string, name: string, { backends, models }: ResolvedPolicy): string[] {
  const backend = backends.find((candidate) => candidate.name === name);
  if (!backend) {
    const known = backends.map((candidate) => candidate.name).join(', ');
    return [`${where}.backend: must name a backend of the policy (${known}), got "${name}"`];
  }
  if (!isFleet(backend)) {
    return [
      `${where}.backend: "${name}" has ${backend.bedrock ? 'bedrock' : 'a url'} in the policy: leave it out there`,
    ];
  }
  const using = models.filter((model) => model.backends.includes(name));
  const other = using.find(({ kind }) => kind !== ModelKind.SERVICE);
  if (other) {
    return [`${where}.backend: "${name}" answers services, and the model "${other.name}" is of kind ${other.kind}`];
  }
  return using.length > 0 ? [] : [`${where}.backend: no model of the policy has the backend "${name}"`];
}

function pipelineFaults(
  where: string,
  { tenant: name, backend }: PlatformPipelineSettings,
  { stages, retrieval }: ResolvedPipeline,
  { tenants, plans, models }: ResolvedPolicy,
): string[] {
  const faults: string[] = [];
  if (backend !== undefined && !retrieval) {
    faults.push(
      `${where}.backend: "${backend}" would have no index to answer from: give the definition retrieval, after a stage that embeds`,
    );
  }
  const work = stages.find((stage) => stage.work.kind === 'embed')?.work;
  if (work?.kind !== 'embed') {
    if (name !== undefined) faults.push(`${where}.tenant: goes with a definition that embeds; leave it out`);
    return faults;
  }
  const known = models.filter(({ kind }) => kind === ModelKind.EMBEDDING).map((model) => model.name);
  if (!known.includes(work.model)) {
    faults.push(
      `${where}.definition: embeds with the model "${work.model}", which the policy must have with kind embedding ` +
        `(${known.join(', ') || 'it has none'})`,
    );
  }
  const tenant = tenants.find((candidate) => candidate.name === name);
  if (!tenant) {
    const all = tenants.map((candidate) => candidate.name).join(', ');
    faults.push(`${where}.tenant: must name the tenant (${all}) in whose name texts are embedded, got ${show(name)}`);
    return faults;
  }
  const plan = plans.find((candidate) => candidate.name === tenant.plan);
  if (plan?.models && !plan.models.includes(work.model)) {
    faults.push(`${where}.tenant: the plan "${plan.name}" of "${tenant.name}" must have the model "${work.model}"`);
  }
  const mostTokens = stages.find((stage) => stage.work.kind === 'chunk')?.work;
  const batch = mostTokens?.kind === 'chunk' ? mostTokens.mostTokens * work.batchSize : undefined;
  if (batch !== undefined && plan && batch > plan.maxTokensPerRequest) {
    faults.push(
      `${where}.definition: a batch of ${work.batchSize} texts of ${batch / work.batchSize} tokens is more than the ` +
        `maxTokensPerRequest of the plan "${plan.name}", ${plan.maxTokensPerRequest}: lower the stage's batchSize to ` +
        `${Math.max(1, Math.floor((plan.maxTokensPerRequest * work.batchSize) / batch))}, or raise the plan's limit`,
    );
  }
  return faults;
}

function show(value: string | undefined): string {
  return value === undefined ? 'nothing' : `"${value}"`;
}
