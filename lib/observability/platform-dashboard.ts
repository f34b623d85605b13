import { Duration } from 'aws-cdk-lib';
import * as cloudwatch from 'aws-cdk-lib/aws-cloudwatch';
import { Construct } from 'constructs';
import type { FleetScaling } from '../auto-scaling/fleet-scaling';
import type { GpuFleet } from '../auto-scaling/gpu-fleet';
import type { ResponseCache } from '../caching/response-cache';
import type { DataPipeline } from '../data-pipeline/data-pipeline';
import type { FeatureStore } from '../data-pipeline/feature-store';
import type { Retrieval } from '../data-pipeline/retrieval';
import type { InferenceApi } from '../gateway/inference-api';
import type { ModelEndpoint } from '../load-balancing/model-endpoint';
import type { BatchJobs } from '../queueing/batch-jobs';
import type { JobQueue } from '../queueing/job-queue';
import { featureStoreRows, pipelineRows, retrievalRows } from './data-widgets';

/** Properties of a platform's dashboard. */
export interface PlatformDashboardProps {
  /** API to show. */
  readonly api: InferenceApi;

  /** Store to show. */
  readonly cache: ResponseCache;

  /**
   * Batches and single jobs to show, with their queues.
   *
   * @default - none
   */
  readonly batchJobs?: BatchJobs;

  /**
   * Queue to show, beside those of `batchJobs`.
   *
   * @default - none
   */
  readonly queue?: JobQueue;

  /** Alarms to show. */
  readonly alarms: cloudwatch.IAlarm[];

  /**
   * Endpoints to show, by backend.
   *
   * @default - none
   */
  readonly endpoints?: Record<string, ModelEndpoint>;

  /**
   * Fleets to show, by backend.
   *
   * @default - none
   */
  readonly fleets?: Record<string, GpuFleet>;

  /**
   * Scaling of fleets to show.
   *
   * @default - none
   */
  readonly scaling?: FleetScaling;
}

const HALF = 12;
const THIRD = 8;
const FULL = 24;
const HEIGHT = 6;

/** One page that answers, from the top: is anything wrong, what do users feel, what do the parts do. */
export class PlatformDashboard extends Construct {
  /** The dashboard. */
  public readonly dashboard: cloudwatch.Dashboard;

  constructor(scope: Construct, id: string, props: PlatformDashboardProps) {
    super(scope, id);
    this.dashboard = new cloudwatch.Dashboard(this, 'Dashboard', {
      defaultInterval: Duration.hours(3),
      periodOverride: cloudwatch.PeriodOverride.AUTO,
    });
    this.dashboard.addWidgets(new cloudwatch.AlarmStatusWidget({ title: 'Alarms', alarms: props.alarms, width: FULL }));
    this.showTraffic(props.api);
    this.showBreakers(props.api);
    this.showStore(props.cache);
    if (props.queue) this.showQueue('Jobs', props.queue);
    if (props.batchJobs) this.showBatchJobs(props.batchJobs);
    for (const [name, endpoint] of Object.entries(props.endpoints ?? {})) {
      this.showBackend(name, endpoint, props.fleets?.[name]);
    }
    if (props.scaling) this.showScaling(props.scaling);
  }

  /**
   * Shows a pipeline, below what is there already.
   *
   * @param name for people
   * @param pipeline the pipeline
   */
  public addPipeline(name: string, pipeline: DataPipeline): void {
    for (const row of pipelineRows(name, pipeline)) this.dashboard.addWidgets(...row);
  }

  /**
   * Shows a feature store, below what is there already.
   *
   * @param name for people
   * @param store the feature store
   */
  public addFeatureStore(name: string, store: FeatureStore): void {
    for (const row of featureStoreRows(name, store)) this.dashboard.addWidgets(...row);
  }

  /**
   * Shows retrieval, below what is there already.
   *
   * @param name for people
   * @param retrieval retrieval
   */
  public addRetrieval(name: string, retrieval: Retrieval): void {
    for (const row of retrievalRows(name, retrieval)) this.dashboard.addWidgets(...row);
  }

  private showTraffic({ inference, restApi }: InferenceApi): void {
    this.dashboard.addWidgets(
      graph('Requests', HALF, [
        inference.metricRequests({ label: 'answered' }),
        inference.metricCacheHits({ label: 'from the cache' }),
        inference.metricSemanticHits({ label: 'from the cache, by meaning' }),
        inference.metricFallbacks({ label: 'by a fallback' }),
        inference.metricRateLimited({ label: 'limited' }),
        restApi.metricServerError({ label: 'failed', statistic: cloudwatch.Stats.SUM, color: cloudwatch.Color.RED }),
      ]),
      graph('Time to first token, ms', HALF, [
        inference.metricTimeToFirstToken({ label: 'p50', statistic: cloudwatch.Stats.p(50) }),
        inference.metricTimeToFirstToken({ label: 'p90', statistic: cloudwatch.Stats.p(90) }),
        inference.metricTimeToFirstToken({ label: 'p99' }),
      ]),
    );
    this.dashboard.addWidgets(
      graph('Tokens', HALF, [
        inference.metricInputTokens({ label: 'input' }),
        inference.metricOutputTokens({ label: 'output' }),
      ]),
      graph('Functions', HALF, [
        inference.handler.function.metric('ConcurrentExecutions', { label: 'in progress', statistic: 'Maximum' }),
        inference.handler.function.metricErrors({ label: 'errors', color: cloudwatch.Color.RED }),
        inference.metricStoreLost({ label: 'served without the store', color: cloudwatch.Color.ORANGE }),
      ]),
    );
  }

  /** How often each backend's breaker opened, and what that meant for requests. */
  private showBreakers({ inference }: InferenceApi): void {
    this.dashboard.addWidgets(
      graph(
        'Breakers opened',
        HALF,
        inference.backendNames.map((name) => {
          const dimensionsMap = { Service: inference.serviceName, Backend: name };
          return inference.metricBreakerOpened({ label: name, dimensionsMap });
        }),
      ),
      graph('Breakers and second calls', HALF, [
        inference.metricBreakerHalfOpen({ label: 'half-open' }),
        inference.metricBreakerClosed({ label: 'closed again' }),
        inference.metricHedges({ label: 'second calls' }),
      ]),
    );
  }

  private showStore(cache: ResponseCache): void {
    this.dashboard.addWidgets(
      graph('Store, per cent', HALF, [
        cache.metricEngineCpu({ label: 'engine CPU' }),
        cache.metricMemoryUsage({ label: 'memory' }),
      ]),
      graph('Replicas of the store, s behind', HALF, [cache.metricReplicationLag({ label: 'slowest' })]),
    );
  }

  private showQueue(title: string, queue: JobQueue): void {
    this.dashboard.addWidgets(
      graph(title, HALF, [
        queue.metricBacklog({ label: 'waiting' }),
        queue.metricDeadLetters({ label: 'dead letters', color: cloudwatch.Color.RED }),
      ]),
      graph(`${title}: age of the oldest, s`, HALF, [queue.metricOldestMessageAge({ label: 'age' })]),
    );
  }

  /** How much is done, how fast, and what waits. */
  private showBatchJobs(batch: BatchJobs): void {
    this.dashboard.addWidgets(
      graph('Items of batches', THIRD, [
        batch.metricItemsCompleted({ label: 'completed' }),
        batch.metricItemsFailed({ label: 'failed', color: cloudwatch.Color.RED }),
        batch.metricItemsDeferred({ label: 'put off', color: cloudwatch.Color.ORANGE }),
      ]),
      graph('Time of an item, s', THIRD, [
        batch.metricItemTime({ label: 'p50', statistic: cloudwatch.Stats.p(50) }),
        batch.metricItemTime({ label: 'p99' }),
      ]),
      graph('Functions of batches', THIRD, [
        batch.worker.function.metric('ConcurrentExecutions', { label: 'workers', statistic: 'Maximum' }),
        batch.worker.function.metricErrors({ label: 'workers failed', color: cloudwatch.Color.RED }),
        batch.metricControlErrors({ label: 'splitting or putting together failed', color: cloudwatch.Color.ORANGE }),
      ]),
    );
    this.showQueue('Items that wait', batch.work);
    this.showQueue('Batches that wait', batch.control);
  }

  /** What the work asks for beside what there is. */
  private showScaling({ policies }: FleetScaling): void {
    const each = (metricOf: (name: string) => cloudwatch.IMetric) => Object.keys(policies).map(metricOf);
    this.dashboard.addWidgets(
      graph(
        'Load of the fleets, per cent',
        HALF,
        each((name) => policies[name]!.metricLoad({ label: name })),
      ),
      graph(
        'Instances that the work asks for',
        HALF,
        each((name) => policies[name]!.metricDemand({ label: name })),
      ),
    );
  }

  private showBackend(name: string, endpoint: ModelEndpoint, fleet?: GpuFleet): void {
    this.dashboard.addWidgets(
      graph(`${name}: hosts`, THIRD, [
        endpoint.metricHealthyHosts({ label: 'healthy' }),
        endpoint.metricUnhealthyHosts({ label: 'unhealthy', color: cloudwatch.Color.RED }),
        ...(fleet
          ? [fleet.metricDesired({ label: fleet.instanceUnits.largest > 1 ? 'wanted, in units' : 'wanted' })]
          : []),
      ]),
      graph(`${name}: response time p99, s`, THIRD, [endpoint.metricResponseTime({ label: 'p99' })]),
      ...(fleet
        ? [graph(`${name}: GPU, per cent`, THIRD, [fleet.metricGpuUtilization({ label: 'utilisation' })])]
        : []),
    );
  }
}

function graph(title: string, width: number, left: cloudwatch.IMetric[]): cloudwatch.GraphWidget {
  return new cloudwatch.GraphWidget({ title, width, height: HEIGHT, left, leftYAxis: { min: 0 } });
}
