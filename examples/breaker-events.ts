/** Breakers that open or close, told to those on call as EventBridge hears of them. */
import { App, Stack } from 'aws-cdk-lib';
import * as events from 'aws-cdk-lib/aws-events';
import { SnsTopic } from 'aws-cdk-lib/aws-events-targets';
import * as sns from 'aws-cdk-lib/aws-sns';
import { InferencePlatform } from 'cdk-inference-platform';

const app = new App();
const stack = new Stack(app, 'Inference');

const platform = new InferencePlatform(stack, 'Platform', {
  policy: {
    plans: [{ name: 'standard', requestsPerMinute: 600, tokensPerMinute: 200_000 }],
    tenants: [{ name: 'acme', plan: 'standard' }],
    backends: [{ name: 'gpu' }, { name: 'backup', url: 'https://models.example.com' }],
    models: [{ name: 'qwen3-8b', backends: ['gpu', 'backup'], hedging: {} }],
  },
  fleets: { gpu: { modelServer: { model: 'Qwen/Qwen3-8B' } } },
});

// Its policy lets events.amazonaws.com publish.
const onCall = sns.Topic.fromTopicArn(stack, 'OnCall', stack.formatArn({ service: 'sns', resource: 'on-call' }));
const told = (field: string) => events.EventField.fromPath(`$.detail.${field}`);
new events.Rule(stack, 'BreakerChanged', {
  description: 'Tells those on call of breakers that open or close',
  eventPattern: {
    source: ['cdk-inference-platform'],
    detailType: ['Circuit Breaker State Change'],
    detail: { service: [platform.api.inference.serviceName], to: ['open', 'closed'] },
  },
  targets: [
    new SnsTopic(onCall, {
      message: events.RuleTargetInput.fromText(
        `The breaker of ${told('backend')} went from ${told('from')} to ${told('to')} at ${told('at')}.`,
      ),
    }),
  ],
});
