import type { ModelServer } from './model-server';

/** What the boot script needs to know; strings may be CDK tokens. */
export interface BootScriptOptions {
  readonly server: ModelServer;
  /** Port on which the server listens, with TLS. */
  readonly port: number;
  /** Value of the `Fleet` dimension of the GPU metrics. */
  readonly fleet: string;
  /** Namespace of the GPU metrics. */
  readonly namespace: string;
  /** Seconds between two GPU measurements; below 60 they are stored in high resolution. */
  readonly metricsInterval: number;
  /** Name of the log group of the model server. */
  readonly logGroup: string;
  readonly region: string;
}

/** Image of the model server where none is given. */
const DEFAULT_IMAGE = 'vllm/vllm-openai:v0.11.0';

const HOME = '/opt/model-server';

/**
 * The script by which a fresh instance becomes a model server: a certificate of its own, the CloudWatch agent for GPU
 * metrics, and the container under systemd, which starts it again whenever it ends.
 *
 * Expects what the AWS Deep Learning Base AMI brings: NVIDIA driver, Docker with the NVIDIA runtime, AWS CLI, OpenSSL.
 */
export function bootScript(options: BootScriptOptions): string {
  return `#!/bin/bash
set -euo pipefail
install -d -m 0755 ${HOME}/tls ${HOME}/cache

# TLS from the load balancer to this instance. A load balancer does not check a target's certificate, so one made here
# will do; it lives as long as the instance.
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 825 \\
  -subj "/CN=model-server" -keyout ${HOME}/tls/key.pem -out ${HOME}/tls/cert.pem
chmod 0600 ${HOME}/tls/key.pem

# GPU metrics
rpm -q amazon-cloudwatch-agent >/dev/null || dnf install -y -q amazon-cloudwatch-agent
cat >${HOME}/cloudwatch-agent.json <<'CONFIG'
${JSON.stringify(agentConfig(options), null, 2)}
CONFIG
/opt/aws/amazon-cloudwatch-agent/bin/amazon-cloudwatch-agent-ctl -a fetch-config -m ec2 -s \\
  -c file:${HOME}/cloudwatch-agent.json

# The model server
cat >${HOME}/run <<'RUN'
${runScript(options)}
RUN
chmod 0755 ${HOME}/run
cat >/etc/systemd/system/model-server.service <<'UNIT'
[Unit]
Description=Model server
Wants=network-online.target
After=network-online.target docker.service
Requires=docker.service

[Service]
ExecStart=${HOME}/run
ExecStop=/usr/bin/docker stop --time 300 model-server
TimeoutStopSec=310
Restart=always
RestartSec=5

[Install]
WantedBy=multi-user.target
UNIT
systemctl daemon-reload
systemctl enable --now model-server.service
`;
}

/** Starts the container; systemd runs it again when it ends. */
function runScript(options: BootScriptOptions): string {
  const { server, port } = options;
  const image = server.image ?? DEFAULT_IMAGE;
  const token = server.huggingFaceToken;
  const docker = [
    'exec docker run --rm --name model-server --gpus all --ipc host',
    `-p ${port}:${port}`,
    `-v ${HOME}/tls:/tls:ro -v ${HOME}/cache:/root/.cache/huggingface`,
    `--log-driver awslogs --log-opt awslogs-region=${options.region} --log-opt awslogs-group=${options.logGroup}`,
    ...(token ? ['-e HF_TOKEN'] : []),
    quote(image),
    ...serverArguments(server, port).map(quote),
  ];
  return [
    '#!/bin/bash',
    'set -euo pipefail',
    'docker rm --force model-server >/dev/null 2>&1 || true',
    ...(token
      ? [
          `HF_TOKEN=$(aws secretsmanager get-secret-value --region ${options.region} --secret-id ${token.secretArn} \\`,
          '  --query SecretString --output text)',
          'export HF_TOKEN',
        ]
      : []),
    docker.join(' \\\n  '),
  ].join('\n');
}

function serverArguments(server: ModelServer, port: number): string[] {
  return [
    '--model',
    server.model,
    '--served-model-name',
    ...(server.servedModelNames ?? [server.model]),
    '--port',
    String(port),
    '--ssl-keyfile',
    '/tls/key.pem',
    '--ssl-certfile',
    '/tls/cert.pem',
    ...(server.args ?? []),
  ];
}

function agentConfig(options: BootScriptOptions): object {
  return {
    agent: { metrics_collection_interval: options.metricsInterval, omit_hostname: true },
    metrics: {
      namespace: options.namespace,
      aggregation_dimensions: [['Fleet']],
      metrics_collected: {
        nvidia_gpu: {
          measurement: ['utilization_gpu', 'utilization_memory', 'memory_used', 'memory_total', 'temperature_gpu'],
          append_dimensions: { Fleet: options.fleet },
        },
      },
    },
  };
}

/** Quotes a word for the shell. Tokens pass: what they stand for here (ARNs, names) holds no quote. */
function quote(word: string): string {
  return /^[A-Za-z0-9_./:=@,+-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}
