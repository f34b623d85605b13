import { type ChildProcess, spawn } from 'node:child_process';
import { chmodSync, cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { type BootScriptOptions, bootScript } from '../../../lib/auto-scaling/boot-script';

/** What stands on the PATH in place of what an instance has and this machine lacks. Each speaks through files of $STATE. */
const PROGRAMS: Record<string, string> = {
  // Instance metadata (version 2 only) and the model server.
  curl: `url=\${!#}
case $url in
  */latest/api/token) [[ "$*" == *'-X PUT'* ]] && echo secret ;;
  */latest/meta-data/*)
    [[ "$*" == *'x-aws-ec2-metadata-token: secret'* ]] || exit 22
    cat "$STATE/imds/\${url#*meta-data/}" 2>/dev/null || exit 22 ;;
  *)
    echo "curl $*" >>"$STATE/calls"
    [[ -e $STATE/listening ]] || exit 7
    case $url in
      */metrics) cat "$STATE/metrics" 2>/dev/null || exit 22 ;;
      *) [[ -e $STATE/answers ]] || exit 22 ;;
    esac ;;
esac`,
  aws: `echo "aws $*" >>"$STATE/calls"
case $2 in
  complete-lifecycle-action)
    hook=$(sed 's/.*--lifecycle-hook-name \\([a-z]*\\) .*/\\1/' <<<"$*")
    refusal=$(head -n 1 "$STATE/refusals/$hook" 2>/dev/null)
    if [[ -n $refusal ]]; then
      sed -i 1d "$STATE/refusals/$hook"
      echo "$refusal" >&2
      exit 254
    fi
    echo "$hook \${!#}" >>"$STATE/completed" ;;
  get-secret-value) echo hf_secret ;;
  get-login-password) echo ecr_secret ;;
esac`,
  docker: `echo "docker $*" >>"$STATE/calls"
case "$*" in
  run*'--name model-server'*)
    printf '%s\\n' "$@" >"$STATE/container"
    echo "$HF_TOKEN" >"$STATE/token"
    echo "$DOCKER_CONFIG" >"$STATE/docker-config"
    exec bash "$STATE/model" ;;
  run*) while :; do sleep 0.1; done ;;
  login*) cat >"$STATE/password"; [[ ! -e $STATE/login-fails ]] || exit 1 ;;
  stop*) rm -f "$STATE/listening" "$STATE/answers" ;;
esac`,
  // A unit is run as systemd would: again whenever its Restart says so, until it is stopped.
  systemctl: `echo "systemctl $*" >>"$STATE/calls"
case $1 in
  show) cat "$STATE/$2.restarts" 2>/dev/null || echo 0 ;;
  stop) touch "$STATE/$2.stopped"; docker stop "$2" ;;
  enable)
    unit=\${3%.service}
    start=$(sed -n 's/^ExecStart=//p' "$UNITS/$3" | sed 's|/usr/bin/||')
    restart=$(sed -n 's/^Restart=//p' "$UNITS/$3")
    (
      restarts=0
      while :; do
        bash -c "exec $start" >>"$STATE/$unit.log" 2>&1 && [[ $restart == on-failure ]] && break
        [[ -e $STATE/$unit.stopped ]] && break
        sleep 0.05
        echo $((++restarts)) >"$STATE/$unit.restarts"
      done
    ) >/dev/null 2>&1 </dev/null & ;;
esac`,
  openssl: `[[ ! -e $STATE/openssl-fails ]] || exit 1
while [[ $# -gt 0 ]]; do case $1 in -keyout|-out) echo pem >"$2" ;; esac; shift; done`,
  mountpoint: `grep -qx -- "$2" "$STATE/mounts" 2>/dev/null`,
  blkid: `exit 2`,
  'mkfs.xfs': `echo "mkfs.xfs $*" >>"$STATE/calls"`,
  mount: `echo "mount $*" >>"$STATE/calls"; echo "$2" >>"$STATE/mounts"`,
  // The agent is there once it has been installed.
  dnf: `echo "dnf $*" >>"$STATE/calls"
[[ ! -e $STATE/dnf-fails ]] || exit 1
cp "$STATE/agent" "\${0%/*}/amazon-cloudwatch-agent-ctl"`,
};

const AGENT = `#!/bin/bash
echo "agent $*" >>"$STATE/calls"
[[ ! -e $STATE/agent-fails ]]
`;

/** What Auto Scaling answers where no hook waits, whether it has passed or is yet to come. */
export const NO_HOOK = 'No active Lifecycle Action found with instance ID i-1';

/** Ways in which a model server can go, as a bash script in place of the container. */
export const SERVERS = {
  answers: 'touch "$STATE/listening" "$STATE/answers"; while [[ -e $STATE/listening ]]; do sleep 0.05; done',
  loads: 'touch "$STATE/listening"; while [[ -e $STATE/listening ]]; do sleep 0.05; done',
  crashes: 'exit 1',
};

/** A machine of files and stand-ins on which the boot script runs as user data does. */
export class StandInInstance {
  public readonly root = mkdtempSync(path.join(tmpdir(), 'instance-'));
  private readonly state = path.join(this.root, 'state');
  private boot?: ChildProcess;

  constructor(private readonly options: BootScriptOptions) {
    const programs = path.join(this.root, 'bin');
    for (const folder of [programs, this.state, path.join(this.root, 'etc/systemd/system')]) {
      mkdirSync(folder, { recursive: true });
    }
    for (const [name, text] of Object.entries(PROGRAMS)) {
      writeFileSync(path.join(programs, name), `#!/bin/bash\n${text}\n`);
      chmodSync(path.join(programs, name), 0o755);
    }
    this.put('agent', AGENT);
    chmodSync(path.join(this.state, 'agent'), 0o755);
    this.says('instance-id', 'i-1');
    this.says('autoscaling/target-lifecycle-state', 'InService');
    this.put('calls', '');
  }

  /** Lets the instance metadata say something. */
  public says(name: string, value: string): void {
    this.put(`imds/${name}`, value);
  }

  /** Sets what the stand-ins look at. */
  public put(name: string, text: string): void {
    const file = path.join(this.state, name);
    mkdirSync(path.dirname(file), { recursive: true });
    writeFileSync(file, text);
  }

  /** Puts the CloudWatch agent into the image, as dnf would install it. */
  public hasAgent(): void {
    cpSync(path.join(this.state, 'agent'), path.join(this.root, 'bin/amazon-cloudwatch-agent-ctl'));
  }

  /** Lets Auto Scaling refuse the next calls that would complete a hook. */
  public refuses(hook: 'launch' | 'drain', answer: string, times = 1): void {
    this.put(`refusals/${hook}`, `${answer}\n`.repeat(times));
  }

  /** What the engine says of itself. */
  public hasInFlight(running: number, waiting: number): void {
    const engine = '{engine="0",model_name="qwen"}';
    this.put(
      'metrics',
      `# HELP vllm:num_requests_running\nvllm:num_requests_running${engine} ${running}.0\nvllm:num_requests_waiting${engine} ${waiting}.0\nvllm:num_requests_waiting_by_reason${engine} 9.0\n`,
    );
  }

  /** Runs the user data with such a server; its exit status. */
  public async start(server: keyof typeof SERVERS): Promise<number | null> {
    this.put('model', SERVERS[server]);
    const environment = {
      ...process.env,
      PATH: `${path.join(this.root, 'bin')}:${process.env.PATH}`,
      STATE: this.state,
      UNITS: path.join(this.root, 'etc/systemd/system'),
      HF_TOKEN: '',
    };
    // A group of its own, so that what it leaves running can be ended with it.
    const boot = spawn('bash', ['-s'], { env: environment, detached: true, stdio: ['pipe', 'ignore', 'ignore'] });
    this.boot = boot;
    boot.stdin.end(bootScript({ ...this.options, root: this.root, pollSeconds: 0.05 }));
    return new Promise((resolve) => boot.on('exit', resolve));
  }

  /** Commands that were called, as one line each. */
  public calls(containing: string): string[] {
    return this.read('state/calls')
      .split('\n')
      .filter((line) => line.includes(containing));
  }

  /** Results by which hooks were completed, as `hook result`; refused calls are none. */
  public completed(): string[] {
    return this.read('state/completed').trim().split('\n').filter(Boolean);
  }

  /** Calls that would complete a hook, refused ones included. */
  public asked(hook: 'launch' | 'drain'): string[] {
    return this.calls(`--lifecycle-hook-name ${hook} `);
  }

  /** Waits until something holds; the reason why not is the calls so far. */
  public async until(holds: () => boolean, seconds = 6): Promise<void> {
    const end = Date.now() + seconds * 1000;
    while (!holds()) {
      if (Date.now() > end) throw new Error(`did not happen; calls so far:\n${this.read('state/calls')}`);
      await new Promise((resolve) => setTimeout(resolve, 25));
    }
  }

  public read(file: string): string {
    const at = path.join(this.root, file);
    return existsSync(at) ? readFileSync(at, 'utf8') : '';
  }

  public end(): void {
    if (this.boot?.pid !== undefined) {
      try {
        process.kill(-this.boot.pid, 'SIGKILL');
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
      }
    }
    rmSync(this.root, { recursive: true, force: true, maxRetries: 5 });
  }
}
