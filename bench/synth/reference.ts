/** Ours: the reference stack, without the checks that `npx cdk synth` adds to each of the three alike. */
import { App } from 'aws-cdk-lib';
import { ReferenceStack } from '../../bin/reference-stack';
import { PolicyDocument } from '../../lib';

const app = new App();
new ReferenceStack(app, 'InferencePlatform', { policy: PolicyDocument.fromFile('bin/policy.json'), profile: 'prod' });
app.synth();
