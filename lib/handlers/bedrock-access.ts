import { Stack, Token } from 'aws-cdk-lib';
import * as iam from 'aws-cdk-lib/aws-iam';
import type { BedrockModel } from '../policy/backend';
import { acknowledge } from '../security/acknowledge';

/** Converse and OpenAI's protocol are permitted by the actions of the older interface, whole and streamed. */
const ACTIONS = ['bedrock:InvokeModel', 'bedrock:InvokeModelWithResponseStream'];

/** Ids of the inference profiles that Bedrock defines: a geography, and the model's own id. No vendor has two letters. */
const PROFILE_ID = /^(global|apac|us-gov|[a-z]{2})\.(.+)$/;

/** What a model's id stands for. */
interface Invocable {
  /** What is called. */
  readonly arn: string;
  /** The foundation models to which it leads, in whatever region. */
  readonly leadsTo?: readonly string[];
}

/**
 * Lets a role call a model of Bedrock, whole and streamed, and nothing else. An inference profile leads to foundation
 * models in several regions, so those are permitted in every region, but only by way of that profile
 * (https://docs.aws.amazon.com/bedrock/latest/userguide/inference-profiles-prereq.html).
 */
export function grantInvokeModel(role: iam.Role, model: BedrockModel): void {
  const { arn, leadsTo } = invocableOf(model, Stack.of(role));
  role.addToPolicy(new iam.PolicyStatement({ actions: ACTIONS, resources: [arn] }));
  if (!leadsTo) return;
  role.addToPolicy(
    new iam.PolicyStatement({
      actions: ACTIONS,
      resources: [...leadsTo],
      conditions: { StringEquals: { 'bedrock:InferenceProfileArn': arn } },
    }),
  );
  const findings = leadsTo
    .filter((resource) => resource.includes('*'))
    .map(
      (resource) => `AwsSolutions-IAM5[Resource::${resource.replace(Stack.of(role).partition, '<AWS::Partition>')}]`,
    );
  const reason = 'Bedrock chooses the region; a condition holds the permission to calls by the inference profile.';
  acknowledge(role, Object.fromEntries(findings.map((finding) => [finding, reason])));
}

function invocableOf({ modelId, region }: BedrockModel, stack: Stack): Invocable {
  const foundationModels = (id: string, places: readonly string[]) =>
    places.map((place) => `arn:${stack.partition}:bedrock:${place}::foundation-model/${id}`);
  const behind = (profileId: string) => {
    const [, geography, id] = PROFILE_ID.exec(profileId) ?? [];
    // A global profile asks for the model of no region at all, too.
    return id === undefined ? undefined : foundationModels(id, geography === 'global' ? ['*', ''] : ['*']);
  };
  if (modelId.startsWith('arn:') || Token.isUnresolved(modelId)) {
    const [kind, id = ''] = resourceIn(modelId).split('/');
    if (kind === 'inference-profile') return { arn: modelId, leadsTo: behind(id) ?? foundationModels('*', ['*']) };
    // Which models an account's own profile copies, and what a token stands for, is known at deployment.
    const isOpen = kind === 'application-inference-profile' || Token.isUnresolved(kind);
    return { arn: modelId, ...(isOpen && { leadsTo: foundationModels('*', ['*']) }) };
  }
  const place = region ?? stack.region;
  const leadsTo = behind(modelId);
  return leadsTo
    ? { arn: `arn:${stack.partition}:bedrock:${place}:${stack.account}:inference-profile/${modelId}`, leadsTo }
    : { arn: foundationModels(modelId, [place])[0]! };
}

/** The last part of an ARN, `kind/id`; all of what is a token as a whole. */
function resourceIn(arn: string): string {
  return arn.startsWith('arn:') ? arn.split(':').slice(5).join(':') : arn;
}
