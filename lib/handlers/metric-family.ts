import * as cloudwatch from 'aws-cdk-lib/aws-cloudwatch';
import type { IConstruct } from 'constructs';

/** Where the metrics of a construct are found, and what is usual for them. */
export interface MetricFamilyProps extends Pick<cloudwatch.MetricProps, 'namespace' | 'period'> {
  readonly dimensions: Readonly<Record<string, string>>;
}

/**
 * The metrics that a construct shows under one namespace and the same dimensions, each by its name. What a caller of
 * `metricXxx` asks for comes before the statistic of the method.
 */
export class MetricFamily {
  constructor(
    private readonly owner: IConstruct,
    private readonly props: MetricFamilyProps,
  ) {}

  /** What was counted: its sum. */
  public sum(metricName: string, props?: cloudwatch.MetricOptions): cloudwatch.Metric {
    return this.metric(metricName, cloudwatch.Stats.SUM, props);
  }

  /** The mean of what was measured. */
  public average(metricName: string, props?: cloudwatch.MetricOptions): cloudwatch.Metric {
    return this.metric(metricName, cloudwatch.Stats.AVERAGE, props);
  }

  /** The greatest of what was measured. */
  public maximum(metricName: string, props?: cloudwatch.MetricOptions): cloudwatch.Metric {
    return this.metric(metricName, cloudwatch.Stats.MAXIMUM, props);
  }

  /** The least of what was measured. */
  public minimum(metricName: string, props?: cloudwatch.MetricOptions): cloudwatch.Metric {
    return this.metric(metricName, cloudwatch.Stats.MINIMUM, props);
  }

  /** The value that 99 of 100 do not exceed. */
  public p99(metricName: string, props?: cloudwatch.MetricOptions): cloudwatch.Metric {
    return this.metric(metricName, cloudwatch.Stats.p(99), props);
  }

  private metric(metricName: string, statistic: string, props?: cloudwatch.MetricOptions): cloudwatch.Metric {
    const { namespace, dimensions: dimensionsMap, period } = this.props;
    return new cloudwatch.Metric({
      ...{ namespace, metricName, dimensionsMap: { ...dimensionsMap }, statistic, period },
      ...props,
    }).attachTo(this.owner);
  }
}
