import { type AgentOptions, agentConfig, scrapeConfig } from './agent-config';
import { logInFunction, mayBeInEcr } from './ecr-image';
import type { ConcurrencyControl } from './fleet-settings';
import { lifecycleScript } from './lifecycle-script';
import { ModelTask } from './model-server';
import { type ServerScriptOptions, logIn, quote, serverScript } from './server-script';

/** What the boot script needs to know; strings may be CDK tokens. */
export interface BootScriptOptions extends AgentOptions, Pick<ServerScriptOptions, 'server' | 'localDisks'> {
  /** Port on which the load balancer reaches the instance, with TLS. */
  readonly port: number;
  readonly region: string;
  /** ARNs of the target groups that the instance leaves when it drains, with blanks between them. */
  readonly targetGroups: string;
  /** How long the model may take to answer, seconds. */
  readonly bootSeconds: number;
  /** How long requests in flight may take when the instance leaves, seconds. */
  readonly drainSeconds: number;
  /** Bound on the requests in flight, by an agent between load balancer and server; none where it is absent. */
  readonly concurrency?: Required<ConcurrencyControl>;
  /** Seconds between two looks at server and metadata; 5 where it is absent. */
  readonly pollSeconds?: number;
  /** Address of the instance metadata; the link-local one where it is absent. */
  readonly metadata?: string;
  /** Root of the file system; `` where it is absent. */
  readonly root?: string;
}

/** Ends of the server within one launch after which another start would not help. */
const MAX_ENDS = 5;

/** What EC2 takes as user data, in bytes, less what tokens may grow by when they are resolved. */
const MAX_LENGTH = 15_000;

/**
 * The script by which a fresh instance becomes a model server: the program that speaks for it to Auto Scaling first, so
 * that whatever fails after it is told; then a certificate of its own, the CloudWatch agent, and the container under
 * systemd, which starts it again whenever it ends.
 *
 * Expects what the AWS Deep Learning Base AMI brings: NVIDIA driver, Docker with the NVIDIA runtime, AWS CLI, OpenSSL.
 *
 * @throws where the script is longer than EC2 takes
 */
export function bootScript(options: BootScriptOptions): string {
  const { server, port, concurrency, root = '' } = options;
  const home = `${root}/opt/model-server`;
  const units = `${root}/etc/systemd/system`;
  const plain = concurrency !== undefined;
  const ownPort = plain ? port + 1 : port;
  const scheme = plain ? 'http' : 'https';
  const files = [
    file(`${home}/instance`, instanceFile(options, ownPort, scheme, home)),
    file(`${home}/lifecycle`, lifecycleScript(home)),
    file(`${home}/run`, serverScript({ server, port: ownPort, plain, localDisks: options.localDisks }, home, root)),
    file(`${home}/scrape.json`, json(scrapeConfig(options, { scheme, port: ownPort }, `${home}/tls/cert.pem`))),
    file(`${home}/agent.json`, json(agentConfig(options, `${home}/scrape.json`))),
    file(`${units}/model-server.service`, serverUnit(home, options.drainSeconds)),
    file(`${units}/model-lifecycle.service`, lifecycleUnit(home)),
    ...(concurrency
      ? [
          file(`${home}/control`, controlScript(home, port, ownPort, concurrency)),
          file(`${units}/target-control.service`, controlUnit(home)),
        ]
      : []),
  ];
  const script = `#!/bin/bash
set -euo pipefail
install -d -m 0755 ${home}/tls ${home}/cache
${files.join('\n')}
chmod 0755 ${home}/run ${home}/lifecycle${concurrency ? ` ${home}/control` : ''}
trap '${home}/lifecycle abandon "boot failed in line $LINENO"' ERR
systemctl daemon-reload
systemctl enable --now model-lifecycle.service

# TLS from the load balancer to this instance. A load balancer does not check a target's certificate, so one made here
# will do; it lives as long as the instance. What runs on the instance itself does check it.
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 825 \\
  -subj "/CN=model-server" -addext subjectAltName=DNS:model-server \\
  -keyout ${home}/tls/key.pem -out ${home}/tls/cert.pem 2>/dev/null
chmod 0600 ${home}/tls/key.pem

systemctl enable --now model-server.service
${concurrency ? 'systemctl enable --now target-control.service\n' : ''}
# Metrics of GPU and server. The instance serves without them, and another one would not have them either.
PATH=$PATH:/opt/aws/amazon-cloudwatch-agent/bin
if ! command -v amazon-cloudwatch-agent-ctl >/dev/null && ! dnf install -y -q amazon-cloudwatch-agent; then
  ${home}/lifecycle say 'no metrics of GPU and server: dnf cannot install amazon-cloudwatch-agent, have it in the image'
elif ! amazon-cloudwatch-agent-ctl -a fetch-config -m ec2 -s -c file:${home}/agent.json; then
  ${home}/lifecycle say 'no metrics of GPU and server: amazon-cloudwatch-agent does not start, see its log'
fi
`;
  if (script.length > MAX_LENGTH) {
    throw new Error(
      `modelServer makes a boot script of ${script.length} characters, and EC2 takes ${MAX_LENGTH}: move args into the image`,
    );
  }
  return script;
}

/** Writes a file, word for word: the text must not hold the delimiter, which nothing here does. */
function file(path: string, text: string): string {
  return `cat >${path} <<'END_OF_FILE'\n${text.trimEnd()}\nEND_OF_FILE`;
}

function json(value: object): string {
  return JSON.stringify(value);
}

/** What the scripts on the instance share: settings, and how to read the instance's metadata. */
function instanceFile(options: BootScriptOptions, port: number, scheme: string, home: string): string {
  const { server, concurrency } = options;
  const images = [server.image ?? '', concurrency?.agentImage ?? ''];
  const model = (server.servedModelNames ?? [server.model])[0]!;
  const [path, body] = probeOf(server.task ?? ModelTask.GENERATE, model);
  const name = scheme === 'https' ? 'model-server' : '127.0.0.1';
  return `# shellcheck disable=SC2034 # read by the scripts beside it
REGION=${options.region}
LOG_GROUP=${options.logGroup}
TARGET_GROUPS="${options.targetGroups}"
PORT=${port}
SERVER=${scheme}://${name}:${port}
PROBE_PATH=${path}
PROBE_BODY=${quote(body === undefined ? '' : JSON.stringify(body))}
BOOT_SECONDS=${options.bootSeconds}
DRAIN_SECONDS=${options.drainSeconds}
POLL_SECONDS=${options.pollSeconds ?? 5}
MAX_ENDS=${MAX_ENDS}

imds() { # path
  local token
  token=$(curl -fs -m 2 -X PUT -H 'x-aws-ec2-metadata-token-ttl-seconds: 60' ${options.metadata ?? 'http://169.254.169.254'}/latest/api/token) &&
    curl -fs -m 2 -H "x-aws-ec2-metadata-token: $token" "${options.metadata ?? 'http://169.254.169.254'}/latest/meta-data/$1"
}
until INSTANCE=$(imds instance-id) && GROUP=$(imds tags/instance/aws:autoscaling:groupName); do sleep 1; done
${images.some(mayBeInEcr) ? logInFunction(`${home}/registry`) : ''}`;
}

/** The request by which a model shows that it is ready: path, and body unless it is a GET. */
function probeOf(task: ModelTask, model: string): [string, object?] {
  switch (task) {
    case ModelTask.GENERATE:
      return ['/v1/completions', { model, prompt: 'ready?', max_tokens: 1 }];
    case ModelTask.EMBED:
      return ['/v1/embeddings', { model, input: 'ready?' }];
    case ModelTask.OTHER:
      return ['/health'];
  }
}

function serverUnit(home: string, drainSeconds: number): string {
  return `[Unit]
Description=Model server
Wants=network-online.target
After=network-online.target docker.service
Requires=docker.service
StartLimitIntervalSec=0

[Service]
ExecStart=${home}/run
ExecStop=/usr/bin/docker stop --time ${drainSeconds} model-server
TimeoutStopSec=${drainSeconds + 10}
Restart=always
RestartSec=5

[Install]
WantedBy=multi-user.target`;
}

function lifecycleUnit(home: string): string {
  return `[Unit]
Description=Speaks for this instance to Auto Scaling
Wants=network-online.target
After=network-online.target

[Service]
ExecStart=${home}/lifecycle
Restart=on-failure
RestartSec=5

[Install]
WantedBy=multi-user.target`;
}

/** The agent listens where the load balancer sends to, and ends TLS with a certificate of its own. */
function controlScript(home: string, port: number, serverPort: number, control: Required<ConcurrencyControl>): string {
  const settings = {
    DATA_ADDRESS: `0.0.0.0:${port}`,
    CONTROL_ADDRESS: `0.0.0.0:${control.controlPort}`,
    DESTINATION_ADDRESS: `127.0.0.1:${serverPort}`,
    MAX_CONCURRENCY: String(control.maxConcurrency),
  };
  const variables = Object.entries(settings).map(([name, value]) => `-e TARGET_CONTROL_${name}=${value}`);
  const image = control.agentImage;
  return `#!/bin/bash
set -euo pipefail
# shellcheck source=/dev/null
. ${home}/instance
docker rm --force target-control >/dev/null 2>&1 || true
${logIn('target-control', image)}exec docker run --rm --name target-control --network host ${variables.join(' ')} ${quote(image)}`;
}

function controlUnit(home: string): string {
  return `[Unit]
Description=Target Optimizer agent
After=network-online.target docker.service
Requires=docker.service
StartLimitIntervalSec=0

[Service]
ExecStart=${home}/control
ExecStop=/usr/bin/docker stop target-control
Restart=always
RestartSec=5

[Install]
WantedBy=multi-user.target`;
}
