import { spawnSync } from 'node:child_process';
import { afterEach, describe, expect, it } from '@jest/globals';
import { Stack, Token } from 'aws-cdk-lib';
import * as s3 from 'aws-cdk-lib/aws-s3';
import * as secretsmanager from 'aws-cdk-lib/aws-secretsmanager';
import { type ModelServer, ModelTask } from '../../../lib';
import { type BootScriptOptions, bootScript } from '../../../lib/auto-scaling/boot-script';
import { serverScript } from '../../../lib/auto-scaling/server-script';
import { NO_HOOK, StandInInstance } from './stand-in-instance';

const OPTIONS: BootScriptOptions = {
  server: { model: 'Qwen/Qwen3-8B', servedModelNames: ['qwen3-8b', "it's"], args: ['--max-model-len', '8192'] },
  port: 8000,
  fleet: 'fleet',
  namespace: 'Gpu',
  metricsInterval: 10,
  logGroup: 'log',
  region: 'us-east-1',
  targetGroups: 'arn:one arn:two',
  bootSeconds: 20,
  drainSeconds: 20,
  localDisks: true,
};

const ECR = '123456789012.dkr.ecr.eu-west-1.amazonaws.com';

const CONTROL = { maxConcurrency: 64, controlPort: 3000, agentImage: 'agent:1' };

const stack = new Stack();
const WEIGHTS: BootScriptOptions = {
  ...OPTIONS,
  server: {
    ...OPTIONS.server,
    weightsBucket: s3.Bucket.fromBucketName(stack, 'Weights', 'weights'),
    weightsPrefix: 'qwen3-8b/v1/',
    huggingFaceToken: secretsmanager.Secret.fromSecretCompleteArn(
      stack,
      'Token',
      'arn:aws:secretsmanager:us-east-1:111122223333:secret:token-AbCdEf',
    ),
  },
};

const instances: StandInInstance[] = [];
afterEach(() => {
  for (const instance of instances.splice(0)) instance.end();
});

function instanceOf(options: Partial<BootScriptOptions> = {}): StandInInstance {
  const instance = new StandInInstance({ ...OPTIONS, ...options });
  instances.push(instance);
  return instance;
}

/** An instance whose launch has been completed. */
async function serving(options: Partial<BootScriptOptions> = {}): Promise<StandInInstance> {
  const instance = instanceOf(options);
  instance.hasInFlight(0, 0);
  expect(await instance.start('answers')).toBe(0);
  await instance.until(() => instance.completed().length > 0);
  return instance;
}

/** The files that a boot script writes, by their path. */
function filesOf(script: string): Record<string, string> {
  const found = script.matchAll(/^cat >(\S+) <<'END_OF_FILE'\n([\s\S]*?)\nEND_OF_FILE$/gm);
  return Object.fromEntries([...found].map(([, name, text]) => [name!, `${text}\n`]));
}

describe('an instance that boots', () => {
  it('is in service once the model has answered a real request', async () => {
    const instance = await serving();
    expect(instance.completed()).toEqual(['launch CONTINUE']);
    const [call] = instance.calls('complete-lifecycle-action');
    expect(call).toContain('--auto-scaling-group-name group-1');
    expect(call).toContain('--instance-id i-1');
    expect(instance.calls('/v1/completions').at(-1)).toContain(
      `--cacert ${instance.root}/opt/model-server/tls/cert.pem --resolve model-server:8000:127.0.0.1 -m 30 -o /dev/null -H content-type: application/json -d {"model":"qwen3-8b","prompt":"ready?","max_tokens":1} https://model-server:8000/v1/completions`,
    );
    expect(instance.calls('put-log-events')[0]).toMatch(/stream-name i-1\/lifecycle .*the model answers after \d+ s/);
    expect(instance.calls('deregister-targets')).toEqual([]);
  });

  it('asks a model for embeddings for one', async () => {
    const instance = await serving({ server: { model: 'bge', task: ModelTask.EMBED } });
    expect(instance.calls('/v1/embeddings').at(-1)).toContain('-d {"model":"bge","input":"ready?"}');
  });

  it('asks what is no language model whether it is well', async () => {
    const instance = await serving({ server: { model: 'reranker', task: ModelTask.OTHER } });
    expect(instance.calls('/health').at(-1)).toMatch(/-m 30 -o \/dev\/null https:\/\/model-server:8000\/health$/);
  });

  it.each([
    ['cannot be installed', 'dnf-fails', 'dnf cannot install amazon-cloudwatch-agent, have it in the image'],
    ['does not start', 'agent-fails', 'amazon-cloudwatch-agent does not start, see its log'],
  ])('serves without metrics, and says why, where the agent %s', async (_, failure, reason) => {
    const instance = instanceOf();
    instance.put(failure, '');
    instance.hasInFlight(0, 0);
    expect(await instance.start('answers')).toBe(0);
    await instance.until(() => instance.completed().length > 0);
    expect(instance.completed()).toEqual(['launch CONTINUE']);
    expect(instance.calls(`no metrics of GPU and server: ${reason}`)).toHaveLength(1);
  });

  it('takes the agent that the image has', async () => {
    const instance = instanceOf();
    instance.hasAgent();
    expect(await instance.start('answers')).toBe(0);
    expect(instance.calls('dnf ')).toEqual([]);
    expect(instance.calls('agent -a fetch-config')).toHaveLength(1);
  });

  it('waits for a model that takes its time', async () => {
    const instance = instanceOf();
    await instance.start('loads');
    await instance.until(() => instance.calls('/v1/completions').length > 5);
    expect(instance.completed()).toEqual([]);
    instance.put('answers', '');
    await instance.until(() => instance.completed().length > 0);
    expect(instance.completed()).toEqual(['launch CONTINUE']);
  });

  it('is given up with the reason when the model does not answer within its time', async () => {
    const instance = instanceOf({ bootSeconds: 1 });
    await instance.start('loads');
    await instance.until(() => instance.completed().length > 0);
    expect(instance.completed()).toEqual(['launch ABANDON']);
    expect(instance.calls('put-log-events')[0]).toContain(
      'launch given up: the model has not answered within 1 s, see log stream i-1/server',
    );
  });

  it('is given up before its time when the server keeps ending', async () => {
    const instance = instanceOf();
    await instance.start('crashes');
    await instance.until(() => instance.completed().length > 0);
    expect(instance.completed()).toEqual(['launch ABANDON']);
    expect(instance.calls('put-log-events')[0]).toMatch(/launch given up: the model server has ended \d+ times/);
  });

  it('is given up when its boot script fails', async () => {
    const instance = instanceOf();
    instance.put('openssl-fails', '');
    expect(await instance.start('answers')).not.toBe(0);
    expect(instance.completed()).toEqual(['launch ABANDON']);
    expect(instance.calls('put-log-events')[0]).toMatch(/launch given up: boot failed in line \d+/);
  });

  it('says so again when Auto Scaling did not hear it', async () => {
    const instance = instanceOf();
    instance.refuses('launch', 'Rate exceeded');
    await instance.start('answers');
    await instance.until(() => instance.completed().length > 0);
    expect(instance.completed()).toEqual(['launch CONTINUE']);
    expect(instance.asked('launch')).toHaveLength(2);
  });

  it('goes on serving when nobody waits for it, as after a reboot', async () => {
    const instance = instanceOf();
    instance.refuses('launch', NO_HOOK);
    instance.hasInFlight(0, 0);
    await instance.start('answers');
    await instance.until(() => instance.asked('launch').length > 0);
    instance.says('autoscaling/target-lifecycle-state', 'Terminated');
    await instance.until(() => instance.completed().includes('drain CONTINUE'));
    expect(instance.completed()).toEqual(['drain CONTINUE']);
    expect(instance.asked('launch')).toHaveLength(1);
  });

  it('leaves at once when it is terminated before the model answers', async () => {
    const instance = instanceOf();
    await instance.start('loads');
    await instance.until(() => instance.calls('/v1/completions').length > 0);
    instance.hasInFlight(0, 0);
    instance.says('autoscaling/target-lifecycle-state', 'Terminated');
    await instance.until(() => instance.completed().length > 0);
    expect(instance.completed()).toEqual(['drain CONTINUE']);
  });

  it('sends metrics of GPU and engine under the name of the fleet, and of the engine by a checked connection', async () => {
    const instance = await serving();
    expect(instance.calls('dnf install').concat(instance.calls('agent '))).toEqual([
      'dnf install -y -q amazon-cloudwatch-agent',
      `agent -a fetch-config -m ec2 -s -c file:${instance.root}/opt/model-server/agent.json`,
    ]);
    expect(JSON.parse(instance.read('opt/model-server/agent.json'))).toMatchObject({
      agent: { metrics_collection_interval: 10 },
      // Each measurement goes out before the next.
      metrics: {
        namespace: 'Gpu',
        force_flush_interval: 10,
        metrics_collected: { nvidia_gpu: { append_dimensions: { Fleet: 'fleet' } } },
      },
      logs: {
        metrics_collected: {
          prometheus: {
            log_group_name: 'log',
            prometheus_config_path: `${instance.root}/opt/model-server/scrape.json`,
            emf_processor: { metric_namespace: 'Gpu', metric_declaration: [{ dimensions: [['Fleet']] }] },
          },
        },
      },
    });
    expect(JSON.parse(instance.read('opt/model-server/scrape.json'))).toMatchObject({
      scrape_configs: [
        {
          scheme: 'https',
          tls_config: { ca_file: `${instance.root}/opt/model-server/tls/cert.pem`, server_name: 'model-server' },
          static_configs: [{ targets: ['127.0.0.1:8000'], labels: { Fleet: 'fleet' } }],
        },
      ],
    });
  });
});

describe('an instance that leaves', () => {
  it('takes no new requests, lets those in flight finish, and then goes', async () => {
    const instance = await serving();
    instance.hasInFlight(2, 1);
    instance.says('autoscaling/target-lifecycle-state', 'Terminated');
    await instance.until(() => instance.calls('/metrics').length > 5);
    expect(instance.calls('deregister-targets')).toEqual([
      'aws elbv2 deregister-targets --region us-east-1 --target-group-arn arn:one --targets Id=i-1',
      'aws elbv2 deregister-targets --region us-east-1 --target-group-arn arn:two --targets Id=i-1',
    ]);
    expect(instance.calls('systemctl stop')).toEqual([]);
    instance.hasInFlight(0, 0);
    await instance.until(() => instance.completed().includes('drain CONTINUE'));
    expect(instance.completed()).toEqual(['launch CONTINUE', 'drain CONTINUE']);
    expect(instance.calls('systemctl stop')).toEqual(['systemctl stop model-server']);
    expect(instance.calls('with 0 requests in flight')).toHaveLength(1);
  });

  it('completes its hook when that comes, which is after the load balancer has let go of it', async () => {
    const instance = await serving();
    instance.refuses('drain', NO_HOOK, 8);
    instance.says('autoscaling/target-lifecycle-state', 'Terminated');
    await instance.until(() => instance.completed().includes('drain CONTINUE'));
    expect(instance.asked('drain')).toHaveLength(9);
    expect(instance.calls('could not be completed')).toEqual([]);
  });

  it('goes when the drain time is over, whatever is in flight', async () => {
    const instance = await serving({ drainSeconds: 1 });
    instance.hasInFlight(3, 0);
    instance.says('autoscaling/target-lifecycle-state', 'Terminated');
    await instance.until(() => instance.completed().includes('drain CONTINUE'));
    expect(instance.calls('with 3 requests in flight')).toHaveLength(1);
  });

  it('does the same when Spot takes it back, within the time that Spot leaves', async () => {
    const instance = await serving({ drainSeconds: 300 });
    // Spot asks nobody, so that there is no hook to wait for.
    instance.refuses('drain', NO_HOOK, 8);
    instance.says('spot/instance-action', '{"action":"terminate"}');
    await instance.until(() => instance.asked('drain').length > 0);
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(instance.asked('drain')).toHaveLength(1);
    expect(instance.calls('systemctl stop')).toEqual(['systemctl stop model-server']);
    expect(instance.calls('Spot takes it back: no new requests, 100 s for those in flight')).toHaveLength(1);
    expect(instance.calls('deregister-targets')).toHaveLength(2);
  });

  it('waits the whole drain time where the server does not say what is in flight', async () => {
    const instance = await serving({ drainSeconds: 1 });
    instance.put('metrics', 'other_server_requests 0\n');
    instance.says('autoscaling/target-lifecycle-state', 'Terminated');
    await instance.until(() => instance.completed().includes('drain CONTINUE'));
    expect(instance.calls('with unknown requests in flight')).toHaveLength(1);
  });
});

describe('the model server on an instance', () => {
  it('runs with TLS, under the names of the policy, quoted for the shell', async () => {
    const instance = await serving();
    const words = instance.read('state/container').trim().split('\n');
    expect(words.slice(words.indexOf('--model'))).toEqual([
      ...['--model', 'Qwen/Qwen3-8B', '--served-model-name', 'qwen3-8b', "it's", '--port', '8000'],
      ...['--ssl-keyfile', '/tls/key.pem', '--ssl-certfile', '/tls/cert.pem'],
      ...['--long-prefill-token-threshold', '512', '--max-model-len', '8192'],
    ]);
    expect(words).toContain('awslogs-stream=i-1/server');
  });

  it.each<[string, Partial<ModelServer>, string | undefined]>([
    ['as long as it is told', { longInputTokens: 1024 }, '1024'],
    ['as its arguments say', { args: ['--long-prefill-token-threshold', '256'] }, '256'],
    ['whole, where it makes vectors', { task: ModelTask.EMBED }, undefined],
    ['as another server does', { image: 'sglang:1' }, undefined],
  ])('cuts long inputs into pieces %s', (_, server, pieces) => {
    const script = serverScript(
      { server: { model: 'm', ...server }, port: 8000, plain: false, localDisks: false },
      '/opt/model-server',
      '',
    );
    const words = script.split(/[\s\\]+/);
    const at = words.indexOf('--long-prefill-token-threshold');
    expect(at < 0 ? undefined : words[at + 1]).toBe(pieces);
    expect(words.filter((word) => word === '--long-prefill-token-threshold').length).toBe(pieces ? 1 : 0);
  });

  it('loads weights from S3, with the token of a secret, before it starts', async () => {
    const instance = await serving({ server: WEIGHTS.server });
    const calls = instance.calls('');
    const sync = calls.findIndex((call) => call.startsWith('aws s3 sync'));
    expect(calls[sync]).toBe(
      `aws s3 sync --region us-east-1 --only-show-errors s3://weights/qwen3-8b/v1/ ${instance.root}/opt/model-server/cache/weights`,
    );
    expect(sync).toBeLessThan(calls.findIndex((call) => call.startsWith('docker run')));
    expect(instance.read('state/container')).toMatch(/^\S+cache\/weights:\/weights:ro$[^]*^--model\n\/weights$/m);
    expect(instance.read('state/token')).toBe('hf_secret\n');
  });

  it('keeps weights on the disks that the image has mounted', async () => {
    const instance = instanceOf();
    instance.put('mounts', `${instance.root}/opt/dlami/nvme\n`);
    await instance.start('answers');
    await instance.until(() => instance.read('state/container') !== '');
    expect(instance.read('state/container')).toContain(`${instance.root}/opt/dlami/nvme/model-server/hub:`);
  });

  it('mounts a disk of the machine where the image has not', async () => {
    const instance = instanceOf();
    const disk = 'dev/disk/by-id/nvme-Amazon_EC2_NVMe_Instance_Storage_AWS1-ns-1';
    instance.put(`../${disk}`, '');
    await instance.start('answers');
    await instance.until(() => instance.read('state/container') !== '');
    expect(instance.calls('mkfs.xfs').concat(instance.calls('mount '))).toEqual([
      `mkfs.xfs -q ${instance.root}/${disk}`,
      `mount ${instance.root}/${disk} ${instance.root}/opt/model-server/nvme`,
    ]);
    expect(instance.read('state/container')).toContain(`${instance.root}/opt/model-server/nvme/hub:`);
  });

  it('leaves such disks alone where the instance will be stopped', async () => {
    const instance = instanceOf({ localDisks: false });
    instance.put('mounts', `${instance.root}/opt/dlami/nvme\n`);
    await instance.start('answers');
    await instance.until(() => instance.read('state/container') !== '');
    expect(instance.read('state/container')).toContain(`${instance.root}/opt/model-server/cache/hub:`);
  });

  it.each([
    ['in ECR', `${ECR}/team/vllm:1`, ECR, 'eu-west-1'],
    [
      'in ECR, by a dual-stack host and a digest',
      '123456789012.dkr-ecr.us-west-2.on.aws/vllm@sha256:ab',
      '123456789012.dkr-ecr.us-west-2.on.aws',
      'us-west-2',
    ],
  ])('is pulled from a private registry %s', async (_, image, registry, region) => {
    const instance = await serving({ server: { model: 'm', image } });
    const calls = instance.calls('');
    const login = calls.indexOf(`docker login --username AWS --password-stdin ${registry}`);
    expect(login).toBeGreaterThanOrEqual(0);
    expect(login).toBeLessThan(calls.findIndex((call) => call.startsWith('docker run')));
    expect(calls).toContain(`aws ecr get-login-password --region ${region}`);
    expect(instance.read('state/password')).toBe('ecr_secret\n');
    expect(instance.read('state/docker-config')).toBe(`${instance.root}/opt/model-server/registry/model-server\n`);
    // By a pipe alone: in no argument, and in no log.
    expect(calls.join('\n') + instance.read('state/model-server.log')).not.toContain('ecr_secret');
  });

  it('logs in again at each start, since a password lasts 12 hours', async () => {
    const instance = instanceOf({ server: { model: 'm', image: `${ECR}/vllm:1` } });
    await instance.start('crashes');
    await instance.until(() => instance.calls('docker run').length > 2);
    expect(instance.calls('docker login').length).toBeGreaterThanOrEqual(instance.calls('docker run').length);
  });

  it('is given up where it may not log in', async () => {
    const instance = instanceOf({ server: { model: 'm', image: `${ECR}/vllm:1` } });
    instance.put('login-fails', '');
    await instance.start('answers');
    await instance.until(() => instance.completed().length > 0);
    expect(instance.completed()).toEqual(['launch ABANDON']);
    expect(instance.calls('docker run')).toEqual([]);
  });

  it.each([undefined, 'vllm/vllm-openai:v0.11.0', 'public.ecr.aws/team/vllm:1'])(
    'logs in nowhere for %s',
    async (image) => {
      const instance = await serving({ server: { model: 'm', image } });
      expect(instance.calls('get-login-password').concat(instance.calls('docker login'))).toEqual([]);
      expect(instance.read('state/docker-config')).toBe('\n');
    },
  );

  it('tells by its address at run time where that is a token', () => {
    const image = Token.asString({ Ref: 'Image' });
    const text = bootScript({ ...OPTIONS, server: { model: 'm', image } });
    const { stdout } = spawnSync(
      'bash',
      [
        '-c',
        `${/^log_in\(\)[^]*?^}$/m.exec(text)![0]}
aws() { echo "aws $*" >&2; }; docker() { echo "docker $*" >&2; }
log_in model-server vllm:1 2>&1; echo "status $?"; log_in model-server ${ECR}/vllm:1 2>&1`,
      ],
      { encoding: 'utf8' },
    );
    expect(stdout.split('\n')[0]).toBe('status 0');
    expect(stdout).toContain('aws ecr get-login-password --region eu-west-1\n');
    expect(text).toContain(`log_in model-server '${image}'`);
  });

  it('shares its machine with an agent from a private registry', async () => {
    const concurrency = { ...CONTROL, agentImage: `${ECR}/agent:1` };
    const instance = await serving({ concurrency });
    await instance.until(() => instance.calls('docker run --rm --name target-control').length > 0);
    const calls = instance.calls('');
    expect(calls.findIndex((call) => call.startsWith('docker login'))).toBeLessThan(
      calls.findIndex((call) => call.includes('--name target-control')),
    );
    expect(instance.calls('docker login')).toHaveLength(1);
  });

  it('is reached through the agent where requests in flight are bounded', async () => {
    const instance = await serving({ concurrency: CONTROL });
    await instance.until(() => instance.calls('--name target-control').length > 0);
    expect(instance.calls('--name target-control')).toEqual([
      'docker run --rm --name target-control --network host -e TARGET_CONTROL_DATA_ADDRESS=0.0.0.0:8000 -e TARGET_CONTROL_CONTROL_ADDRESS=0.0.0.0:3000 -e TARGET_CONTROL_DESTINATION_ADDRESS=127.0.0.1:8001 -e TARGET_CONTROL_MAX_CONCURRENCY=64 agent:1',
    ]);
    const container = instance.read('state/container');
    expect(container).toContain('127.0.0.1:8001:8001\n');
    expect(container).not.toContain('--ssl-keyfile');
    expect(instance.calls('/v1/completions').at(-1)).toContain('http://127.0.0.1:8001/v1/completions');
  });
});

const missing = spawnSync('shellcheck', ['--version']).status === 0 ? undefined : 'there is no shellcheck on the PATH';
if (missing) process.stdout.write(`shellcheck over the boot script skipped: ${missing}\n`);

describe('the boot script', () => {
  const variants: [string, BootScriptOptions][] = [
    ['plain', OPTIONS],
    ['with weights and token', WEIGHTS],
    ['with an agent, for a warm pool', { ...OPTIONS, concurrency: CONTROL, localDisks: false }],
    [
      'with images in ECR',
      {
        ...OPTIONS,
        server: { model: 'm', image: `${ECR}/vllm:1` },
        concurrency: { ...CONTROL, agentImage: `${ECR}/agent:1` },
      },
    ],
  ];

  (missing ? it.skip.each(variants) : it.each(variants))('has nothing for shellcheck to say: %s', (_, options) => {
    const script = bootScript(options);
    const files = filesOf(script);
    const programs = ['lifecycle', 'run', ...(options.concurrency ? ['control'] : [])].map(
      (name) => files[`/opt/model-server/${name}`]!,
    );
    for (const text of [script, ...programs]) {
      const { stdout, status } = spawnSync('shellcheck', ['--shell=bash', '-'], { input: text, encoding: 'utf8' });
      expect({ stdout, status }).toEqual({ stdout: '', status: 0 });
    }
    const settings = files['/opt/model-server/instance']!;
    expect(spawnSync('shellcheck', ['--shell=bash', '-'], { input: settings, encoding: 'utf8' }).stdout).toBe('');
  });

  it('refuses arguments that do not fit into user data', () => {
    const server = { model: 'm', args: ['x'.repeat(12_000)] };
    expect(() => bootScript({ ...OPTIONS, server })).toThrow(/modelServer makes a boot script of \d+ characters/);
  });
});
