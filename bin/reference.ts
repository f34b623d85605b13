import { App, Validations } from 'aws-cdk-lib';
import { AwsSolutionsChecks } from 'cdk-nag';
import { type InferencePolicy, PolicyDocument } from '../lib';
import defaultPolicy from './policy.json';
import { PROFILES, type Profile, ReferenceStack } from './reference-stack';

/**
 * The reference platform as a CDK app.
 *
 *     npx cdk synth                                     the prod profile and the default policy
 *     npx cdk synth -c profile=dev -c policy=FILE       another profile, another policy
 */
try {
  const app = new App();
  Validations.of(app).addPlugins(new AwsSolutionsChecks(app));
  new ReferenceStack(app, 'InferencePlatform', {
    description: 'Inference platform: gateway, limits, cache, queue and GPU fleets',
    policy: policyFrom(app.node.tryGetContext('policy')),
    profile: profileFrom(app.node.tryGetContext('profile')),
  });
  app.synth();
} catch (error) {
  // What is wrong is in the context or in the policy; where this program found out helps nobody.
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}

function policyFrom(file: unknown): InferencePolicy {
  return typeof file === 'string'
    ? PolicyDocument.fromFile(file)
    : PolicyDocument.fromJson(JSON.stringify(defaultPolicy));
}

function profileFrom(value: unknown): Profile {
  const profile = PROFILES.find((known) => known === (value ?? 'prod'));
  if (!profile) throw new Error(`context profile must be one of ${PROFILES.join(', ')}, got ${JSON.stringify(value)}`);
  return profile;
}
