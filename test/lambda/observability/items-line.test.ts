import { describe, expect, it } from '@jest/globals';
import { itemFaultLine, itemsLine } from '../../../lambda/observability/items-line';

const NAMES = { namespace: 'Platform', service: 'batch' };
const REPORT = { completed: 8, failed: 1, skipped: 0, deferred: 1, buried: 0, seconds: [0.5, 2], kept: [] };

interface Line extends Record<string, unknown> {
  readonly _aws: { CloudWatchMetrics: [{ Dimensions: string[][]; Metrics: { Name: string }[] }] };
}

describe('the line of a worker', () => {
  it('holds every metric that its metrics block names, by service', () => {
    const line = JSON.parse(itemsLine(1000, REPORT, NAMES)) as Line;
    const [metrics] = line._aws.CloudWatchMetrics;
    expect(metrics.Dimensions).toEqual([['Service']]);
    expect(metrics.Metrics.map(({ Name }) => Name)).toEqual([
      ...['BatchItemsCompleted', 'BatchItemsFailed', 'BatchItemsDeferred', 'BatchItemSeconds'],
    ]);
    for (const { Name } of metrics.Metrics) expect(line[Name]).toBeDefined();
    expect(line).toMatchObject({ Service: 'batch', BatchItemsCompleted: 8, BatchItemSeconds: [0.5, 2], level: 'info' });
  });

  it('names no times where no item ended, and warns of dead letters and of what is delivered again', () => {
    const line = JSON.parse(itemsLine(1000, { ...REPORT, seconds: [], buried: 1, kept: ['m'] }, NAMES)) as Line;
    expect(JSON.stringify(line)).not.toContain('BatchItemSeconds');
    expect(line).toMatchObject({ level: 'warn', buried: 1, delivered_again: 1 });
  });

  it('tells of a fault of ours, whatever was thrown', () => {
    const item = { batchId: 'batch_1', line: 7 };
    expect(JSON.parse(itemFaultLine(new Error('no table'), item))).toMatchObject({
      ...{ level: 'error', batch: 'batch_1', line: 7, 'exception.message': 'no table' },
    });
    expect(JSON.parse(itemFaultLine('torn', item))).toMatchObject({ 'exception.message': 'torn' });
  });
});
