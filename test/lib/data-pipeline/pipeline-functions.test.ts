import { describe, expect, it } from '@jest/globals';
import { DataPipeline } from '../../../lib';
import { templateOf } from '../synthesise';

describe('the functions of a pipeline', () => {
  const definition = { name: 'texts', stages: [{ name: 'parse', work: { parse: {} } }] };
  const template = templateOf((stack) => new DataPipeline(stack, 'Pipeline', { definition }));

  it('have all the space of Lambda where keys are sorted, and nowhere else', () => {
    const functions = Object.entries(template.findResources('AWS::Lambda::Function'));
    const spaces = functions.flatMap(([id, { Properties }]) => {
      const { EphemeralStorage: space } = Properties as { EphemeralStorage?: { Size: number } };
      return space ? [[id.replace(/[0-9A-F]{8}$/, ''), space.Size]] : [];
    });
    expect(spaces).toEqual([['PipelineStepsFunction', 10_240]]);
  });
});
