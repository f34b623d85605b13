import { describe, expect, it } from '@jest/globals';
import { Template } from 'aws-cdk-lib/assertions';
import { EmbeddingFunction, InferenceApi, ResponseCache } from '../../../lib';
import { givenVpc, newStack, POLICY } from '../synthesise';

const built = () => {
  const stack = newStack();
  const vpc = givenVpc(stack);
  const embeddings = new EmbeddingFunction(stack, 'Embeddings', { vpc });
  const policy = { ...POLICY, backends: [{ name: 'gpu', url: 'https://gpu.example.com' }, POLICY.backends[1]!] };
  const gateway = new InferenceApi(stack, 'Api', { policy, vpc, store: new ResponseCache(stack, 'Store', { vpc }) });
  return { stack, embeddings, gateway };
};

describe('the function that embeds', () => {
  it('computes as its gateway does, under metrics of its own', () => {
    const { stack, embeddings, gateway } = built();
    embeddings.embedBy(gateway);
    expect(embeddings.serviceName).not.toBe(gateway.inference.serviceName);
    Template.fromStack(stack).hasResourceProperties('AWS::Lambda::Function', {
      Description: 'Embeds texts for pipelines and retrieval',
      Environment: { Variables: { SERVICE_NAME: embeddings.serviceName, STORE_TIMEOUT_MS: '50' } },
    });
  });

  it('must be told of a gateway, and of one only', () => {
    const { stack, embeddings, gateway } = built();
    expect(() => Template.fromStack(stack)).toThrow('embedBy() must be called with the gateway');
    embeddings.embedBy(gateway);
    expect(() => embeddings.embedBy(gateway)).toThrow('embedBy() was called before, with "Stack/Api"');
  });
});
