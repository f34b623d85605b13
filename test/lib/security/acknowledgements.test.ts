import { readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { CfnResource, Validations } from 'aws-cdk-lib';
import {
  CapacityType,
  DataPipeline,
  FeatureStore,
  FeatureType,
  GpuFleet,
  InferencePlatform,
  Retrieval,
} from '../../../lib';
import { FLEETS, POLICY, givenVpc, newStack } from '../synthesise';

/** Everything that the constructs acknowledge, as `id: reason`. */
function acknowledged(): Set<string> {
  const stack = newStack();
  const bedrock = { modelId: 'global.amazon.nova-lite-v1:0' };
  const policy = {
    ...POLICY,
    tenants: [{ ...POLICY.tenants[0]!, webhook: { url: 'https://acme.example.com/hooks' } }],
    backends: [POLICY.backends[0]!, { name: 'backup', bedrock }],
  };
  new InferencePlatform(stack, 'Platform', { policy, fleets: FLEETS });
  new GpuFleet(stack, 'Fleet', {
    vpc: givenVpc(stack),
    modelServer: { model: 'Qwen/Qwen3-8B', image: '111122223333.dkr.ecr.us-east-1.amazonaws.com/vllm:1' },
    capacityTypes: [CapacityType.RESERVATION],
    capacityReservationGroups: ['arn:aws:resource-groups:us-east-1:111122223333:group/gpus'],
  });
  new FeatureStore(stack, 'Features', {
    definition: {
      name: 'shop',
      features: [{ name: 'spend', entity: 'customer', type: FeatureType.NUMBER, ttlSeconds: 60, sourceVersion: 'v1' }],
    },
  });
  const pipeline = new DataPipeline(stack, 'Data', {
    definition: {
      name: 'manual',
      stages: [
        { name: 'chunk', work: { chunk: {} } },
        { name: 'embed', work: { embed: { model: 'bge-m3', dimensions: 8 } } },
      ],
      retrieval: {},
    },
    embeddingUrl: 'https://models.example.com/v1',
    malwareScan: true,
  });
  new Retrieval(stack, 'Retrieval', { pipeline });
  const findings = stack.node.findAll().flatMap((construct) => {
    const rules = construct.node.metadata
      .filter(({ type }) => type === Validations.ACKNOWLEDGED_RULES_METADATA_KEY)
      .flatMap(({ data }) => Object.entries(data as Record<string, string>));
    const lint = CfnResource.isCfnResource(construct)
      ? ((construct.getMetadata('cfn-lint') as { reasons: Record<string, string> } | undefined)?.reasons ?? {})
      : {};
    return [...rules, ...Object.entries(lint)];
  });
  // What the CDK acknowledges in constructs of its own is not ours to explain.
  const ours = findings.filter(([id]) => !id.startsWith('CloudFormation-Validate::'));
  const ofAnyStack = (id: string) =>
    id
      .replace(/^Annotation::/, '')
      .replace(/<\w+\.Arn>/, '<Files.Arn>')
      .replace(/<\w+\.Name>/, '<Machine.Name>')
      .replace(/bucket\/[a-z0-9-]+\/index/, 'bucket/vectors/index');
  return new Set(ours.map(([id, reason]) => `${ofAnyStack(id)}: ${reason}`));
}

describe('the list of acknowledgements', () => {
  const page = readFileSync(path.join(__dirname, '../../../docs/security/acknowledgements.md'), 'utf8');
  const documented = new Set(
    [...page.matchAll(/^\| `([^`]+)` +\| (.*?) +\|/gm)].map(([, id, reason]) => `${id}: ${reason}`),
  );

  it('names each that the constructs make, with its reason, and no other', () => {
    expect([...documented].sort()).toEqual([...acknowledged()].sort());
  });
});
