/** What the CloudWatch agent of an instance has to know; strings may be CDK tokens. */
export interface AgentOptions {
  /** Name of the fleet's group, and value of the `Fleet` dimension. */
  readonly fleet: string;
  /** Namespace of the metrics. */
  readonly namespace: string;
  /** Seconds between two measurements, each sent at once; GPU metrics below 60 are stored in high resolution. */
  readonly metricsInterval: number;
  /** Name of the log group that receives the server's metrics, in the embedded metric format. */
  readonly logGroup: string;
}

/** Metrics of vLLM that say how full an instance is; the last is what versions before 0.10 call the cache's usage. */
const SERVER_METRICS = ['num_requests_running', 'num_requests_waiting', 'kv_cache_usage_perc', 'gpu_cache_usage_perc'];

/**
 * Configuration of the CloudWatch agent: GPU metrics, and what it scrapes from the model server.
 *
 * @param scrapeFile path of the scrape configuration
 */
export function agentConfig(options: AgentOptions, scrapeFile: string): object {
  const { fleet, namespace, metricsInterval, logGroup } = options;
  return {
    agent: { metrics_collection_interval: metricsInterval, omit_hostname: true },
    metrics: {
      namespace,
      // It would send once a minute what it has measured since, and Auto Scaling could not look more often than that.
      force_flush_interval: metricsInterval,
      aggregation_dimensions: [['Fleet']],
      metrics_collected: {
        nvidia_gpu: {
          measurement: ['utilization_gpu', 'utilization_memory', 'memory_used', 'memory_total', 'temperature_gpu'],
          append_dimensions: { Fleet: fleet },
        },
      },
    },
    logs: {
      metrics_collected: {
        prometheus: {
          log_group_name: logGroup,
          prometheus_config_path: scrapeFile,
          emf_processor: {
            metric_namespace: namespace,
            metric_declaration: [
              {
                source_labels: ['job'],
                label_matcher: '^model-server$',
                dimensions: [['Fleet']],
                metric_selectors: [`^vllm:(${SERVER_METRICS.join('|')})$`],
              },
            ],
          },
        },
      },
    },
  };
}

/**
 * What the agent scrapes, in Prometheus' own format; JSON is YAML.
 *
 * @param address scheme, and port on this machine
 * @param certificate path of the server's certificate
 */
export function scrapeConfig(
  options: AgentOptions,
  address: { readonly scheme: 'http' | 'https'; readonly port: number },
  certificate: string,
): object {
  const tls = { tls_config: { ca_file: certificate, server_name: 'model-server' } };
  return {
    global: { scrape_interval: `${options.metricsInterval}s`, scrape_timeout: '5s' },
    scrape_configs: [
      {
        job_name: 'model-server',
        scheme: address.scheme,
        ...(address.scheme === 'https' ? tls : {}),
        static_configs: [{ targets: [`127.0.0.1:${address.port}`], labels: { Fleet: options.fleet } }],
        // A page of vLLM has a thousand series; these are what leaves the instance.
        metric_relabel_configs: [
          { source_labels: ['__name__'], regex: `vllm:(${SERVER_METRICS.join('|')})`, action: 'keep' },
        ],
      },
    ],
  };
}
