import { Duration } from 'aws-cdk-lib';
import * as cloudwatch from 'aws-cdk-lib/aws-cloudwatch';
import { Construct } from 'constructs';
import type { DataPipeline } from '../data-pipeline/data-pipeline';
import type { FeatureStore } from '../data-pipeline/feature-store';
import type { Retrieval } from '../data-pipeline/retrieval';
import { featureStoreRows, pipelineRows, retrievalRows } from './data-widgets';

/** Properties of a dashboard of data. */
export interface DataDashboardProps {
  /**
   * Pipelines to show, by a name for people.
   *
   * @default - none
   */
  readonly pipelines?: Record<string, DataPipeline>;

  /**
   * Feature stores to show, by a name for people.
   *
   * @default - none
   */
  readonly featureStores?: Record<string, FeatureStore>;

  /**
   * Retrieval to show, by a name for people.
   *
   * @default - none
   */
  readonly retrievals?: Record<string, Retrieval>;

  /**
   * Alarms to show first, such as those of `DataAlarms`.
   *
   * @default - none
   */
  readonly alarms?: cloudwatch.IAlarm[];
}

/**
 * A page of its own for pipelines, feature stores and retrieval. `PlatformDashboard` shows the same rows on the platform's
 * page.
 */
export class DataDashboard extends Construct {
  /** The dashboard. */
  public readonly dashboard: cloudwatch.Dashboard;

  constructor(scope: Construct, id: string, props: DataDashboardProps) {
    super(scope, id);
    const { pipelines = {}, featureStores = {}, retrievals = {}, alarms = [] } = props;
    this.dashboard = new cloudwatch.Dashboard(this, 'Dashboard', {
      defaultInterval: Duration.days(7),
      periodOverride: cloudwatch.PeriodOverride.AUTO,
    });
    if (alarms.length > 0) {
      this.dashboard.addWidgets(new cloudwatch.AlarmStatusWidget({ title: 'Alarms', alarms, width: 24 }));
    }
    const rows = [
      ...Object.entries(pipelines).flatMap(([name, pipeline]) => pipelineRows(name, pipeline)),
      ...Object.entries(featureStores).flatMap(([name, store]) => featureStoreRows(name, store)),
      ...Object.entries(retrievals).flatMap(([name, retrieval]) => retrievalRows(name, retrieval)),
    ];
    if (rows.length === 0) throw new Error('pipelines, featureStores or retrievals must have at least one to show');
    for (const row of rows) this.dashboard.addWidgets(...row);
  }
}
