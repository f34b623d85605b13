/** What a hook waits beyond the instance's own watch, in seconds: booting up to it, stopping the server after it. */
export const HOOK_MARGIN_SECONDS = 120;

/**
 * The program that speaks for an instance to Auto Scaling, in bash, run by systemd from the first boot on.
 *
 * It completes the launch hook once the model has answered a real request, and gives the launch up with a reason where it
 * does not within its time or keeps crashing. It then waits until the instance has to leave, because it is terminated or
 * because Spot takes it back: it takes the instance out of its target groups, lets requests in flight finish, stops the
 * server and completes the termination hook.
 *
 * @param home folder of the model server, whose file `instance` it reads
 */
export function lifecycleScript(home: string): string {
  return `#!/bin/bash
set -uo pipefail
# shellcheck source=/dev/null
. ${home}/instance

# A line for the journal and for the fleet's log. The log service being away keeps nothing from happening.
say() {
  local text
  text=$(tr -cd '[:print:]' <<<"$1" | tr -d '"\\134')
  echo "$text"
  aws logs create-log-stream --region "$REGION" --log-group-name "$LOG_GROUP" \\
    --log-stream-name "$INSTANCE/lifecycle" >/dev/null 2>&1
  aws logs put-log-events --region "$REGION" --log-group-name "$LOG_GROUP" --log-stream-name "$INSTANCE/lifecycle" \\
    --log-events "[{\\"timestamp\\":$(date +%s)000,\\"message\\":\\"$text\\"}]" >/dev/null
}

complete() { # hook, result, seconds within which a hook is sure to come that does not wait yet
  local answer failures=0 ends=$((SECONDS + \${3:-0}))
  while ((failures < 5)); do
    if answer=$(aws autoscaling complete-lifecycle-action --region "$REGION" --auto-scaling-group-name "$GROUP" \\
      --lifecycle-hook-name "$1" --instance-id "$INSTANCE" --lifecycle-action-result "$2" 2>&1); then return; fi
    if [[ $answer != *'No active Lifecycle Action'* ]]; then
      ((++failures))
    elif ((SECONDS >= ends)); then
      # Nobody waits: this program ran before, or Spot took the instance without asking the group.
      return
    fi
    sleep "$POLL_SECONDS"
  done
  say "hook $1 could not be completed with $2: $answer"
}

server() { # path, further arguments of curl
  local path=$1
  shift
  curl -fs --cacert ${home}/tls/cert.pem --resolve "model-server:$PORT:127.0.0.1" "$@" "$SERVER$path"
}

answers() {
  if [[ -z $PROBE_BODY ]]; then
    server "$PROBE_PATH" -m 30 -o /dev/null
    return
  fi
  server "$PROBE_PATH" -m 30 -o /dev/null -H 'content-type: application/json' -d "$PROBE_BODY"
}

# Requests that the engine runs or has waiting; fails where the server does not say.
in_flight() {
  local page status
  page=$(server /metrics -m 5)
  status=$?
  # Nothing listens, so nothing is in flight.
  if ((status == 7)); then echo 0 && return; fi
  awk '/^vllm:num_requests_(running|waiting)[{ ]/ { n += $NF; seen = 1 } END { if (!seen) exit 1; print n }' <<<"$page"
}

# Whether the instance has to leave; sets the reason, the seconds that are left, and those within which the hook comes.
leaving() {
  if [[ $(imds autoscaling/target-lifecycle-state) == *Terminated ]]; then
    # The state is told at once. The hook comes after the load balancer has let go of the instance, which may be later
    # than the server is idle; from then on it waits as long as this at most.
    reason='it is terminated' limit=$DRAIN_SECONDS hook_within=$((DRAIN_SECONDS + ${HOOK_MARGIN_SECONDS}))
  elif imds spot/instance-action >/dev/null; then
    # Two minutes from the notice: less what passes until it is seen, and until the server has stopped.
    reason='Spot takes it back' limit=$((DRAIN_SECONDS < 100 ? DRAIN_SECONDS : 100)) hook_within=0
  else
    return 1
  fi
}

give_up() { # why
  say "launch given up: $1"
  complete launch ABANDON
}

launch() {
  local ends
  until answers; do
    if leaving; then return; fi
    ends=$(systemctl show model-server --property NRestarts --value)
    if ((ends >= MAX_ENDS)); then
      give_up "the model server has ended $ends times, see log stream $INSTANCE/server"
      return
    fi
    if ((SECONDS >= BOOT_SECONDS)); then
      give_up "the model has not answered within $BOOT_SECONDS s, see log stream $INSTANCE/server"
      return
    fi
    sleep "$POLL_SECONDS"
  done
  say "the model answers after $SECONDS s"
  complete launch CONTINUE
}

drain() {
  local since=$SECONDS count idle=0 target_group
  say "leaving, since $reason: no new requests, $limit s for those in flight"
  for target_group in $TARGET_GROUPS; do
    aws elbv2 deregister-targets --region "$REGION" --target-group-arn "$target_group" --targets "Id=$INSTANCE" ||
      say "not taken out of $target_group"
  done
  while ((SECONDS - since < limit)); do
    count=$(in_flight) || count=unknown
    # Three times: what the balancer sent just before it heard of the departure has to be seen, too.
    if [[ $count == 0 ]]; then ((++idle)); else idle=0; fi
    if ((idle >= 3)); then break; fi
    sleep "$POLL_SECONDS"
  done
  say "left after $((SECONDS - since)) s with $count requests in flight"
  systemctl stop model-server
  complete drain CONTINUE "$hook_within"
}

case \${1:-} in
  abandon) give_up "$2" ;;
  say) say "$2" ;;
  *)
    launch
    until leaving; do sleep "$POLL_SECONDS"; done
    drain
    ;;
esac
`;
}
