import { Duration } from 'aws-cdk-lib';
import * as cloudwatch from 'aws-cdk-lib/aws-cloudwatch';
import { SnsAction } from 'aws-cdk-lib/aws-cloudwatch-actions';
import type * as sns from 'aws-cdk-lib/aws-sns';
import { Construct } from 'constructs';
import type { FleetScaling } from '../auto-scaling/fleet-scaling';
import type { GpuFleet } from '../auto-scaling/gpu-fleet';
import type { ResponseCache } from '../caching/response-cache';
import type { InferenceApi } from '../gateway/inference-api';
import type { EndpointCertificate } from '../load-balancing/endpoint-certificate';
import type { ModelEndpoint } from '../load-balancing/model-endpoint';
import type { BatchJobs } from '../queueing/batch-jobs';
import type { JobQueue } from '../queueing/job-queue';
import type { AlarmRule } from './alarm-rule';
import { batchAlarmRules } from './batch-alarms';

/** Properties of a platform's alarms. */
export interface PlatformAlarmsProps {
  /** Topic that hears of each alarm, and of its end. An encrypted one must let CloudWatch use its key. */
  readonly topic: sns.ITopic;

  /**
   * API to watch.
   *
   * @default - none
   */
  readonly api?: InferenceApi;

  /**
   * Store to watch.
   *
   * @default - none
   */
  readonly cache?: ResponseCache;

  /**
   * Batches and single jobs to watch, with their queues.
   *
   * @default - none
   */
  readonly batchJobs?: BatchJobs;

  /**
   * Queue to watch, beside those of `batchJobs`.
   *
   * @default - none
   */
  readonly queue?: JobQueue;

  /**
   * Endpoints to watch, by backend.
   *
   * @default - none
   */
  readonly endpoints?: Record<string, ModelEndpoint>;

  /**
   * Certificate made at deployment to watch, beside those of `endpoints`.
   *
   * @default - none
   */
  readonly endpointCertificate?: EndpointCertificate;

  /**
   * Fleets to watch, by backend.
   *
   * @default - none
   */
  readonly fleets?: Record<string, GpuFleet>;

  /**
   * Scaling of fleets to watch.
   *
   * @default - none
   */
  readonly scaling?: FleetScaling;

  /**
   * Time to first token, 99th percentile, above which users notice.
   *
   * @default Duration.seconds(10) - the default first-token timeout of a backend
   */
  readonly timeToFirstToken?: Duration;

  /**
   * Age of the oldest waiting job above which the backlog grows faster than it is worked off.
   *
   * @default Duration.hours(1)
   */
  readonly jobAge?: Duration;

  /**
   * Share of the items of batches that may fail, in per cent, above 0, at most 100. It counts what clients did wrong, too.
   *
   * @default 10
   */
  readonly itemFailureRate?: number;
}

/** Alarms on each part that is given, all to one topic. */
export class PlatformAlarms extends Construct {
  /** All alarms. */
  public readonly alarms: cloudwatch.Alarm[] = [];

  private readonly action: SnsAction;

  constructor(scope: Construct, id: string, props: PlatformAlarmsProps) {
    super(scope, id);
    this.action = new SnsAction(props.topic);
    if (props.api) this.watchApi(props.api, props.timeToFirstToken ?? Duration.seconds(10));
    if (props.cache) this.watchCache(props.cache);
    if (props.batchJobs) this.watchBatchJobs(props.batchJobs, props);
    if (props.queue) this.watchQueue(props.queue, props.jobAge ?? Duration.hours(1));
    for (const [name, endpoint] of Object.entries(props.endpoints ?? {})) this.watchEndpoint(name, endpoint);
    this.watchCertificates(props);
    for (const [name, fleet] of Object.entries(props.fleets ?? {})) this.watchFleet(name, fleet);
    if (props.scaling) this.watchScaling(props.scaling);
  }

  private watchApi(api: InferenceApi, timeToFirstToken: Duration): void {
    const minute = { period: Duration.minutes(1) };
    this.add('ApiErrors', {
      metric: new cloudwatch.MathExpression({
        expression: 'IF(requests >= 20, 100 * errors / requests, 0)',
        usingMetrics: {
          errors: api.metricServerErrors({ ...minute, statistic: cloudwatch.Stats.SUM }),
          requests: api.metricCount(minute),
        },
        label: 'Server errors, per cent of at least 20 requests a minute',
        ...minute,
      }),
      threshold: 1,
      description: 'More than 1 % of the requests end in a server error',
    });
    this.add('FirstToken', {
      metric: api.inference.metricTimeToFirstToken(minute),
      threshold: timeToFirstToken.toMilliseconds(),
      description: `One request in a hundred waits longer than ${timeToFirstToken.toSeconds()} s for its first token`,
    });
    this.add('StoreLost', {
      metric: api.inference.metricStoreLost(minute),
      threshold: 0,
      description: 'Requests are served without the store: limits hold per function only, nothing is cached',
      minutes: [2, 5],
    });
    this.add('BreakerOpened', {
      metric: api.inference.metricBreakerOpened(minute),
      threshold: 0,
      description: 'A breaker opened: a backend fails and is left alone. The log and the event bus say which',
      minutes: [1, 1],
    });
    this.add('Fallbacks', {
      metric: new cloudwatch.MathExpression({
        expression: 'IF(requests >= 20, 100 * fallbacks / requests, 0)',
        usingMetrics: {
          fallbacks: api.inference.metricFallbacks(minute),
          requests: api.inference.metricRequests(minute),
        },
        label: 'Fallbacks, per cent of at least 20 requests a minute',
        ...minute,
      }),
      threshold: 5,
      description: 'More than 5 % of the requests are answered by a fallback: a backend fails',
    });
    this.add('InferenceErrors', {
      metric: api.inference.handler.function.metricErrors(minute),
      threshold: 0,
      description: 'The inference function failed',
      minutes: [2, 5],
    });
    this.add('AuthorizerErrors', {
      metric: new cloudwatch.MathExpression({
        // An authorizer turns a caller away by an error, which is no fault of its own.
        expression: 'errors - FILL(refusals, 0)',
        usingMetrics: {
          errors: api.authorizer.function.metricErrors(minute),
          refusals: api.metricUnauthorized(minute),
        },
        label: 'Failures of the authorizer',
        ...minute,
      }),
      threshold: 0,
      description: 'The authorizer failed: callers with good keys get 500',
    });
    for (const [name, handler] of Object.entries({ Inference: api.inference.handler, Authorizer: api.authorizer })) {
      this.add(`${name}Throttles`, {
        metric: handler.function.metricThrottles(minute),
        threshold: 0,
        description: `The ${name.toLowerCase()} function was throttled: the account's concurrency is used up`,
        minutes: [2, 5],
      });
    }
  }

  private watchCache(cache: ResponseCache): void {
    const minute = { period: Duration.minutes(1) };
    this.add('StoreCpu', {
      metric: cache.metricEngineCpu(minute),
      threshold: 80,
      description: 'The store uses more than 80 % of its core: take a larger node type',
    });
    this.add('StoreMemory', {
      metric: cache.metricMemoryUsage(minute),
      threshold: 90,
      description: 'The store is more than 90 % full: entries are dropped early',
    });
    this.add('StoreReplicationLag', {
      metric: cache.metricReplicationLag(minute),
      threshold: 5,
      description: 'A replica is more than 5 s behind: a failover would forget that much',
    });
  }

  private watchBatchJobs(batchJobs: BatchJobs, { jobAge, itemFailureRate = 10 }: PlatformAlarmsProps): void {
    if (!(itemFailureRate > 0 && itemFailureRate <= 100)) {
      throw new Error(`itemFailureRate must be above 0 and at most 100 per cent, got ${itemFailureRate}`);
    }
    const rules = batchAlarmRules(batchJobs, jobAge ?? Duration.hours(1), itemFailureRate);
    for (const [id, rule] of Object.entries(rules)) this.add(id, rule);
  }

  private watchQueue(queue: JobQueue, jobAge: Duration): void {
    const minute = { period: Duration.minutes(1) };
    this.add('JobAge', {
      metric: queue.metricOldestMessageAge(minute),
      threshold: jobAge.toSeconds(),
      description: `A job has waited longer than ${jobAge.toMinutes()} minutes`,
    });
    this.add('DeadLetters', {
      metric: queue.metricDeadLetters(minute),
      threshold: 0,
      description: 'Jobs failed for good and lie in the dead-letter queue',
      minutes: [1, 1],
    });
  }

  private watchEndpoint(name: string, endpoint: ModelEndpoint): void {
    const minute = { period: Duration.minutes(1) };
    this.add(`${name}-NoHosts`, {
      metric: endpoint.metricHealthyHosts(minute),
      threshold: 1,
      comparison: cloudwatch.ComparisonOperator.LESS_THAN_THRESHOLD,
      description: `No instance of ${name} answers its health check`,
      missing: cloudwatch.TreatMissingData.BREACHING,
    });
    this.add(`${name}-Errors`, {
      metric: endpoint.metricServerErrors(minute),
      threshold: 10,
      description: `Instances of ${name} answer with server errors`,
    });
  }

  /** Each once, however many endpoints share it. */
  private watchCertificates({ endpointCertificate, endpoints = {} }: PlatformAlarmsProps): void {
    const certificates = new Map<EndpointCertificate, string>();
    if (endpointCertificate) certificates.set(endpointCertificate, 'CertificateExpiry');
    for (const [name, { endpointCertificate: own }] of Object.entries(endpoints)) {
      if (own && !certificates.has(own)) certificates.set(own, `${name}-CertificateExpiry`);
    }
    for (const [certificate, id] of certificates) {
      // It is replaced when a third is left: at a quarter, that has failed for weeks.
      const days = Math.floor(certificate.validity.toDays() / 4);
      this.add(id, {
        metric: certificate.metricDaysToExpiry(),
        threshold: days,
        comparison: cloudwatch.ComparisonOperator.LESS_THAN_THRESHOLD,
        description: `The certificate ${certificate.serverName} expires in less than ${days} days and was not renewed: the log of its function says why, or its authority ends: change its serial`,
        minutes: [1, 1],
        // There is none on the first day, and none once it has expired: then the alarm goes on.
        missing: cloudwatch.TreatMissingData.IGNORE,
      });
    }
  }

  private watchFleet(name: string, fleet: GpuFleet): void {
    const minute = { period: Duration.minutes(1) };
    this.add(`${name}-Capacity`, {
      metric: new cloudwatch.MathExpression({
        expression: 'desired - inService',
        usingMetrics: { desired: fleet.metricDesired(minute), inService: fleet.metricInServiceCapacity(minute) },
        label: 'Missing capacity',
        ...minute,
      }),
      threshold: 0,
      description: `${name} has had fewer instances than it wants for half an hour: no capacity, or they do not boot`,
      minutes: [30, 30],
    });
    this.add(`${name}-GpuTemperature`, {
      metric: fleet.metricGpuTemperature(minute),
      threshold: 87,
      description: `A GPU of ${name} is hot enough to be slowed down`,
    });
  }

  /** Errors and silence apart: a function that does not run at all has no errors. */
  private watchScaling(scaling: FleetScaling): void {
    const minute = { period: Duration.minutes(1) };
    this.add('ScalingSignalErrors', {
      metric: scaling.metricErrors(minute),
      threshold: 0,
      description: 'The scaling signal failed: GPU utilisation holds the fleets. The log says why',
    });
    for (const [name, policies] of Object.entries(scaling.policies)) {
      this.add(`${name}-ScalingSignal`, {
        metric: policies.metricLoad({ ...minute, statistic: cloudwatch.Stats.SAMPLE_COUNT }),
        threshold: 1,
        comparison: cloudwatch.ComparisonOperator.LESS_THAN_THRESHOLD,
        description: `The load of ${name} is not known: GPU utilisation holds the fleet, and nothing wakes it but jobs`,
        missing: cloudwatch.TreatMissingData.BREACHING,
      });
    }
  }

  private add(id: string, rule: AlarmRule): void {
    const [bad, of] = rule.minutes ?? [3, 5];
    const alarm = new cloudwatch.Alarm(this, id, {
      alarmDescription: rule.description,
      metric: rule.metric,
      threshold: rule.threshold,
      comparisonOperator: rule.comparison ?? cloudwatch.ComparisonOperator.GREATER_THAN_THRESHOLD,
      datapointsToAlarm: bad,
      evaluationPeriods: of,
      treatMissingData: rule.missing ?? cloudwatch.TreatMissingData.NOT_BREACHING,
    });
    alarm.addAlarmAction(this.action);
    alarm.addOkAction(this.action);
    this.alarms.push(alarm);
  }
}
