import { mayBeInEcr } from './ecr-image';
import { type ModelServer, ModelTask } from './model-server';
import { LONG_INPUT_TOKENS } from '../policy/scaling-defaults';

/** What the server's start script needs to know; strings may be CDK tokens. */
export interface ServerScriptOptions {
  readonly server: ModelServer;
  /** Port on which the server listens: with TLS to all, or plainly to this machine where `plain` is set. */
  readonly port: number;
  /** Whether an agent on the same machine ends TLS, so that the server need not. */
  readonly plain: boolean;
  /** Whether disks of the machine hold weights; they lose them when it stops. */
  readonly localDisks: boolean;
}

/** Image of the model server where none is given. */
const DEFAULT_IMAGE = 'vllm/vllm-openai:v0.11.0';

/**
 * The script that systemd runs, and runs again whenever it ends: brings the weights, then becomes the container.
 *
 * @param home folder of the model server, whose file `instance` it reads
 * @param root the file system's root
 */
export function serverScript(options: ServerScriptOptions, home: string, root: string): string {
  const { server, port, plain } = options;
  const token = server.huggingFaceToken;
  const image = server.image ?? DEFAULT_IMAGE;
  const docker = [
    'exec docker run --rm --name model-server --gpus all --ipc host',
    plain ? `-p 127.0.0.1:${port}:${port}` : `-p ${port}:${port} -v ${home}/tls:/tls:ro`,
    '-v "$cache/hub:/root/.cache/huggingface" -v "$cache/compiled:/root/.cache/vllm"',
    ...(server.weightsBucket ? ['-v "$cache/weights:/weights:ro"'] : []),
    '--log-driver awslogs --log-opt "awslogs-region=$REGION" --log-opt "awslogs-group=$LOG_GROUP"',
    '--log-opt "awslogs-stream=$INSTANCE/server"',
    ...(token ? ['-e HF_TOKEN'] : []),
    quote(image),
    ...serverArguments(options).map(quote),
  ];
  return `#!/bin/bash
set -euo pipefail
# shellcheck source=/dev/null
. ${home}/instance
docker rm --force model-server >/dev/null 2>&1 || true

cache=${home}/cache
${options.localDisks ? localDisk(home, root) : '# The volume keeps what it holds while the instance is stopped.'}
mkdir -p "$cache/hub" "$cache/compiled" "$cache/weights"
${server.weightsBucket ? weights(server) : ''}${token ? readToken(token.secretArn) : ''}${logIn('model-server', image)}${docker.join(' \\\n  ')}
`;
}

/** Servers that load models read gigabytes: a disk of the machine is several times as fast as a volume. */
function localDisk(home: string, root: string): string {
  return `if mountpoint -q ${root}/opt/dlami/nvme; then
  cache=${root}/opt/dlami/nvme/model-server
else
  disk=$(find ${root}/dev/disk/by-id -name 'nvme-Amazon_EC2_NVMe_Instance_Storage_*-ns-1' 2>/dev/null | sort | head -n 1 || true)
  if [[ -n $disk ]]; then
    mkdir -p ${home}/nvme
    if ! mountpoint -q ${home}/nvme; then
      blkid "$disk" >/dev/null || mkfs.xfs -q "$disk"
      mount "$disk" ${home}/nvme
    fi
    cache=${home}/nvme
  fi
fi`;
}

/** `sync` so that a server that starts again loads what is there. */
function weights({ weightsBucket, weightsPrefix }: ModelServer): string {
  const source = `s3://${weightsBucket!.bucketName}/${weightsPrefix ?? ''}`;
  return `aws s3 sync --region "$REGION" --only-show-errors ${quote(source)} "$cache/weights"\n`;
}

function readToken(secretArn: string): string {
  return `HF_TOKEN=$(aws secretsmanager get-secret-value --region "$REGION" --secret-id ${quote(secretArn)} \\
  --query SecretString --output text)
export HF_TOKEN
`;
}

/** Logs in before a container is run, where its image may lie in ECR; by the function in the file `instance`. */
export function logIn(container: string, image: string): string {
  return mayBeInEcr(image) ? `log_in ${container} ${quote(image)}\n` : '';
}

/** Models that make vectors may not have their input cut into pieces, and another server may not know the argument. */
function longInputTokens({ longInputTokens: given, image, task, args }: ModelServer): number | undefined {
  if (given !== undefined || args?.includes('--long-prefill-token-threshold')) return given;
  return image === undefined && (task ?? ModelTask.GENERATE) === ModelTask.GENERATE ? LONG_INPUT_TOKENS : undefined;
}

function serverArguments({ server, port, plain }: ServerScriptOptions): string[] {
  const pieces = longInputTokens(server);
  return [
    '--model',
    server.weightsBucket ? '/weights' : server.model,
    '--served-model-name',
    ...(server.servedModelNames ?? [server.model]),
    '--port',
    String(port),
    ...(plain ? [] : ['--ssl-keyfile', '/tls/key.pem', '--ssl-certfile', '/tls/cert.pem']),
    ...(pieces === undefined ? [] : ['--long-prefill-token-threshold', String(pieces)]),
    ...(server.args ?? []),
  ];
}

/** Quotes a word for the shell. Tokens pass: what they stand for here (ARNs, names) holds no quote. */
export function quote(word: string): string {
  return /^[A-Za-z0-9_./:=@,+-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}
