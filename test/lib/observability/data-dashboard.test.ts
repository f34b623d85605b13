import { describe, expect, it } from '@jest/globals';
import { Template } from 'aws-cdk-lib/assertions';
import { DataDashboard, DataPipeline, FeatureStore, FeatureType, InferencePlatform, Retrieval } from '../../../lib';
import { auditLines, indexLine, publishedLine, stageLines } from '../../../lambda/data-pipeline/pipeline-lines';
import { FLEETS, newStack, POLICY } from '../synthesise';

interface Widget {
  readonly type: string;
  readonly properties: {
    readonly title: string;
    readonly metrics?: readonly (readonly unknown[])[];
    readonly annotations?: { readonly horizontal?: readonly { readonly value: number; readonly label: string }[] };
  };
}

function parts(stack = newStack()) {
  const pipeline = new DataPipeline(stack, 'Pipeline', {
    definition: {
      name: 'manual',
      mostFaultRate: 0.05,
      stages: [
        { name: 'chunk', work: { chunk: {} } },
        { name: 'embed', work: { embed: { model: 'm', dimensions: 8 } } },
      ],
      retrieval: {},
    },
    embeddingUrl: 'https://models.example.com',
  });
  const features = new FeatureStore(stack, 'Features', {
    definition: {
      name: 'shop',
      features: [{ name: 'spend', entity: 'customer', type: FeatureType.NUMBER, ttlSeconds: 60, sourceVersion: 'v1' }],
    },
  });
  return { stack, pipeline, features, retrieval: new Retrieval(stack, 'Retrieval', { pipeline }) };
}

function widgetsOf(template: Template, title: RegExp): Widget[] {
  const bodies = Object.values(template.findResources('AWS::CloudWatch::Dashboard')).map(({ Properties }) => {
    const { DashboardBody } = Properties as { DashboardBody: { 'Fn::Join': [string, unknown[]] } };
    return DashboardBody['Fn::Join'][1].map((part) => (typeof part === 'string' ? part : 'TOKEN')).join('');
  });
  return bodies
    .flatMap((body) => (JSON.parse(body) as { widgets: Widget[] }).widgets)
    .filter(({ properties }) => title.test(properties.title));
}

/** Names of the metrics that a dashboard shows, of the library's own namespace. */
const shownIn = (widgets: readonly Widget[]) =>
  new Set([...JSON.stringify(widgets).matchAll(/"InferencePlatform","(\w+)"/g)].map(([, name]) => name!));

describe('a dashboard of data', () => {
  const { stack, pipeline, features, retrieval } = parts();
  new DataDashboard(stack, 'Dashboard', {
    ...{ pipelines: { manual: pipeline }, featureStores: { shop: features }, retrievals: { search: retrieval } },
  });
  const template = Template.fromStack(stack);

  it('shows what goes in and out, how old it is, how far it has drifted, and how long stages work', () => {
    const widgets = widgetsOf(template, /^manual: /);
    expect(widgets.map(({ properties }) => properties.title)).toEqual([
      ...['manual: records', 'manual: records at fault, per cent', 'manual: runs', 'manual: age, s'],
      ...['manual: drift from the pinned version, PSI', 'manual: work of the stages, s'],
    ]);
    expect(widgets[1]!.properties.annotations?.horizontal).toEqual([
      { value: 5, label: 'held back above', color: '#d62728', yAxis: 'left' },
    ]);
    for (const outcome of ['Succeeded', 'Failed', 'TimedOut', 'Aborted']) {
      expect(JSON.stringify(widgets[2])).toContain(`"Executions${outcome}"`);
    }
    expect(JSON.stringify(widgets[3])).toContain('EPOCH(FILL(at, REPEAT)) - FILL(at, REPEAT)');
    expect(widgets[5]!.properties.metrics?.map((metric) => metric.slice(0, 6))).toEqual(
      ['chunk', 'embed'].map((stage) => [
        ...['InferencePlatform', 'PipelineStageSeconds', 'Pipeline', pipeline.pipelineName, 'Stage', stage],
      ]),
    );
  });

  it('shows what a feature store serves, and what retrieval finds', () => {
    expect(widgetsOf(template, /^shop: /)).toHaveLength(6);
    expect(JSON.stringify(widgetsOf(template, /^search: golden set/))).toContain('PipelineIndexRecall');
    expect(JSON.stringify(widgetsOf(template, /^search: time/))).toContain('p99');
  });

  it('shows no metric that the functions do not publish', () => {
    const names = { namespace: 'InferencePlatform', pipeline: 'p' };
    const finding = (monitor: string) => ({ monitor, value: 2, isAlarm: false, detail: '' });
    const audit = {
      ...{ version: 'v', isHeld: false, faultRate: 0, findings: [finding('freshness'), finding('drift.amount')] },
      counts: { read: 1, published: 1, quarantined: 0, faulty: 0 },
    };
    const told = [
      ...auditLines(audit, 1, names),
      ...stageLines({ chunk: 1 }, 1, names),
      publishedLine({ outcome: 'published', version: 'v' }, 1, names),
      indexLine({ index: 'i', isSwitched: true, recall: 1, missed: [] }, 1, names),
    ].join('');
    const published = new Set([...told.matchAll(/"Name":"(\w+)"/g)].map(([, name]) => name!));
    const shown = [...shownIn(widgetsOf(template, /./))].filter((name) => name.startsWith('Pipeline'));
    expect([...published].sort()).toEqual(shown.sort());
  });

  it('needs something to show', () => {
    expect(() => new DataDashboard(newStack(), 'Dashboard', {})).toThrow(
      'pipelines, featureStores or retrievals must have at least one to show',
    );
  });
});

describe('the dashboard of a platform', () => {
  it('shows pipelines, feature stores and retrieval below its own', () => {
    const stack = newStack();
    const { dashboard } = new InferencePlatform(stack, 'Platform', { policy: POLICY, fleets: FLEETS });
    const { pipeline, features, retrieval } = parts(stack);
    dashboard.addPipeline('manual', pipeline);
    dashboard.addFeatureStore('shop', features);
    dashboard.addRetrieval('search', retrieval);
    expect(widgetsOf(Template.fromStack(stack), /^(manual|shop|search): /)).toHaveLength(17);
  });
});

describe('the lines that a pipeline publishes', () => {
  const names = { namespace: 'N', pipeline: 'p' };

  it('tell the age of a version by when it was published, and not of one that was there already', () => {
    const line = JSON.parse(publishedLine({ outcome: 'published', version: 'v' }, 5_500, names)) as object;
    expect(line).toMatchObject({ Pipeline: 'p', PipelinePublishedAt: 5, message: 'pipeline version published' });
    const again = JSON.parse(publishedLine({ outcome: 'unchanged', version: 'v' }, 5_500, names)) as object;
    expect(again).not.toHaveProperty('_aws');
    expect(again).not.toHaveProperty('PipelinePublishedAt');
  });

  it('tell of an index that was kept back, and of no age that is not a number', () => {
    const golden = { query: 'q', uri: 'u' };
    const line = indexLine({ index: 'i', isSwitched: false, recall: 0.5, missed: [golden] }, 1, names);
    expect(JSON.parse(line)).toMatchObject({ level: 'warn', PipelineIndexRecall: 50, PipelineIndexesKept: 1 });
    expect(JSON.parse(line)).not.toHaveProperty('PipelineIndexedAt');
    const counts = { read: 1, published: 1, quarantined: 0, faulty: 0 };
    const findings = [{ monitor: 'freshness', value: Infinity, isAlarm: true, detail: '' }];
    const [head] = auditLines({ version: 'v', isHeld: false, faultRate: 0, counts, findings }, 1, names);
    expect(head).not.toContain('PipelineWatermarkAge');
  });
});
