import { describe, expect, it } from '@jest/globals';
import { type Stack, Token } from 'aws-cdk-lib';
import { InferenceFunction, type InferencePolicy, ModelKind, ResponseCache } from '../../../lib';
import { POLICY, givenVpc, newStack, templateOf } from '../synthesise';

const SEMANTIC: InferencePolicy = {
  ...POLICY,
  backends: [{ name: 'gpu', url: 'https://models.example.com' }],
  models: [
    { name: 'qwen3-8b', backends: ['gpu'] },
    { name: 'bge-m3', kind: ModelKind.EMBEDDING, backends: ['gpu'] },
  ],
  cache: { semantic: { embeddingModel: 'bge-m3' } },
};

function add(stack: Stack, engineVersion?: string, policy = SEMANTIC): InferenceFunction {
  const vpc = givenVpc(stack);
  const store = new ResponseCache(stack, 'Store', { vpc, ...(engineVersion !== undefined && { engineVersion }) });
  return new InferenceFunction(stack, 'Function', { vpc, store, policy });
}

describe('an inference function that looks answers up by meaning', () => {
  it.each(['8.0', '8.1'])('is refused with a store of Valkey %s, which cannot search', (engineVersion) => {
    expect(() => add(newStack(), engineVersion)).toThrow(
      `cache.semantic needs a store with vector search, engineVersion "8.2" or later, got "${engineVersion}"`,
    );
    const exact = { ...SEMANTIC, cache: {} };
    expect(() => add(newStack(), engineVersion, exact)).not.toThrow();
  });

  it.each([undefined, '8.2', '9.0', '10.0'])('takes a store of Valkey %s', (engineVersion) => {
    expect(() => add(newStack(), engineVersion)).not.toThrow();
  });

  it('takes a store whose version nobody knows before the deployment', () => {
    const stack = newStack();
    const vpc = givenVpc(stack);
    const known = new ResponseCache(stack, 'Store', { vpc });
    const store = (engineVersion: string) =>
      Object.defineProperty(Object.create(known) as ResponseCache, 'engineVersion', { value: engineVersion });
    const version = Token.asString({ Ref: 'Version' });
    expect(() => new InferenceFunction(stack, 'A', { vpc, store: store(version), policy: SEMANTIC })).not.toThrow();
    expect(() => new InferenceFunction(stack, 'B', { vpc, store: store('7.2'), policy: SEMANTIC })).toThrow('"7.2"');
  });

  it('counts what it answers so, and what fails', () => {
    const found: InferenceFunction[] = [];
    templateOf((stack) => found.push(add(stack)));
    const names = [
      found[0]!.metricSemanticHits(),
      found[0]!.metricSemanticFailures(),
      found[0]!.metricSemanticLatency(),
    ];
    expect(names.map(({ metricName, statistic }) => [metricName, statistic])).toEqual([
      ['SemanticHits', 'Sum'],
      ['SemanticFailures', 'Sum'],
      ['SemanticLatency', 'p99'],
    ]);
  });
});
