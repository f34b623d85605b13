import { App, Validations } from 'aws-cdk-lib';
import { AwsSolutionsChecks } from 'cdk-nag';
import { PolicyDocument } from '../lib';
import defaultPolicy from './policy.json';
import { PROFILES, type Profile, ReferenceStack } from './reference-stack';

/**
 * The reference platform as a CDK app.
 *
 *     npx cdk synth                                     the prod profile and the default policy
 *     npx cdk synth -c profile=dev -c policy=FILE       another profile, another policy
 */
const app = new App();
Validations.of(app).addPlugins(new AwsSolutionsChecks(app));

const policyFile = app.node.tryGetContext('policy') as string | undefined;
new ReferenceStack(app, 'InferencePlatform', {
  description: 'Inference platform: gateway, limits, cache, queue and GPU fleets',
  policy: policyFile ? PolicyDocument.fromFile(policyFile) : PolicyDocument.fromJson(JSON.stringify(defaultPolicy)),
  profile: profileFrom(app.node.tryGetContext('profile')),
});
app.synth();

function profileFrom(value: unknown): Profile {
  const profile = PROFILES.find((known) => known === (value ?? 'prod'));
  if (!profile) throw new Error(`context profile must be one of ${PROFILES.join(', ')}, got ${JSON.stringify(value)}`);
  return profile;
}
