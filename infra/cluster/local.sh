#!/usr/bin/env bash
# A Ray cluster of several nodes on this machine, on loopback and with a token: to try what a job does on a cluster.
#
#   local.sh start N     start a head and N - 1 workers, and wait until all have joined
#   local.sh join        start one more worker
#   local.sh leave       end the youngest worker at once, as a spot market does
#   local.sh status      the nodes, and what each has; one that left at once is missed some 15 seconds later
#   local.sh env         what to set, as in: eval "$(infra/cluster/local.sh env)"
#   local.sh stop        end all of it
#
# CLUSTER_HOME  its folder, with a short path: Ray keeps sockets there (default /tmp/steno-cluster-$UID)
# CLUSTER_PORT  the head's port (6399); the 100 ports after it are the nodes'
# CLUSTER_CPUS, CLUSTER_GPUS   what each node says it has (1, 0): GPUs need not exist to try how work is placed
# CLUSTER_STORE   bytes of each node's object store (128 MiB)
# PYTHON        the Python that Ray and stenopool are installed in (python3)
set -euo pipefail

command=${1:?start N, join, leave, status, env or stop}
home=${CLUSTER_HOME:-/tmp/steno-cluster-$UID}
port=${CLUSTER_PORT:-6399}
python=${PYTHON:-python3}
here=$(cd "$(dirname "$0")/../.." && pwd)

MOST=12
NOTHING="nothing is running: local.sh start N"

die() { echo "local.sh: $*" >&2; exit 1; }

mkdir -p "$home/nodes"
chmod 700 "$home"
[ -s "$home/token" ] || (umask 077; "$python" -c 'import secrets; print(secrets.token_hex(32))' >"$home/token")

export RAY_AUTH_MODE=token RAY_AUTH_TOKEN_PATH=$home/token
export RAY_USAGE_STATS_ENABLED=0 RAY_task_oom_retries=2 RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO=0
export PYTHONPATH=$here${PYTHONPATH:+:$PYTHONPATH}

numbers() { find "$home/nodes" -name '*.pid' -printf '%f\n' | sed 's/\.pid//' | sort -n; }

alive() { kill -0 "$(cat "$home/nodes/$1.pid")" 2>/dev/null; }

running() { for number in $(numbers); do ! alive "$number" || return 0; done; return 1; }

node() {  # node NUMBER [ray start's options]: each node is a session of its own, so that it can be ended as one
    local number=$1 first=$((port + 1 + 8 * $1))
    shift
    setsid "$python" -m infra.cluster.loopback start --block --node-ip-address=127.0.0.1 --disable-usage-stats \
        --num-cpus="${CLUSTER_CPUS:-1}" --num-gpus="${CLUSTER_GPUS:-0}" \
        --object-store-memory="${CLUSTER_STORE:-134217728}" \
        --node-manager-port="$first" --object-manager-port=$((first + 1)) --metrics-export-port=$((first + 2)) \
        --dashboard-agent-listen-port=$((first + 3)) --dashboard-agent-grpc-port=$((first + 4)) \
        --runtime-env-agent-port=$((first + 5)) \
        "$@" >"$home/nodes/$number.log" 2>&1 </dev/null &
    echo $! >"$home/nodes/$number.pid"
}

worker() { node "$1" --address="127.0.0.1:$port"; }

end() {  # end NUMBER SIGNAL
    kill "-$2" -- "-$(cat "$home/nodes/$1.pid")" 2>/dev/null || true
    for _ in $(seq 40); do alive "$1" || break; sleep 0.25; done
    kill -KILL -- "-$(cat "$home/nodes/$1.pid")" 2>/dev/null || true
    rm -f "$home/nodes/$1.pid"
}

joined() { "$python" -m infra.cluster.nodes "127.0.0.1:$port" "$@"; }

await() {  # await NUMBER MILLISECONDS: until a node is there that began since, or this one has ended
    for _ in $(seq 120); do
        alive "$1" || return 1
        joined --since "$2" >/dev/null 2>&1 && return
        sleep 0.5
    done
    return 1
}

begin() {  # begin NUMBER: a worker; Ray gives one up that takes 30 seconds, on a busy machine
    local began
    for _ in 1 2 3; do
        began=$(date +%s%3N)
        worker "$1"
        await "$1" "$began" && return
        end "$1" KILL
    done
    give_up "node $1 does not come up: see $home/nodes/$1.log"
}

give_up() { stop; die "$1"; }

start() {
    local many=${1:?how many nodes}
    [[ $many =~ ^[0-9]+$ ]] && [ "$many" -ge 1 ] && [ "$many" -le $MOST ] || die "1 to $MOST nodes"
    ! running || die "it is running already: local.sh stop"
    rm -f "$home"/nodes/*
    local client=()  # Ray's client has a port of its own where it is installed, and no word for none
    ! "$python" -c 'import grpc' 2>/dev/null || client=(--ray-client-server-port=$((port + 99)))
    node 0 --head --port="$port" --dashboard-host=127.0.0.1 --dashboard-port=$((port + 100)) \
        --temp-dir="$home/ray" "${client[@]}"
    await 0 0 || give_up "the head does not come up: see $home/nodes/0.log"
    for number in $(seq 1 $((many - 1))); do  # one after the other: two that come at once take each other's sockets
        begin "$number"
    done
    joined
}

stop() {
    for number in $(numbers | sort -rn); do end "$number" TERM; done
}

case $command in
    start) start "${2:-}" ;;
    join)
        running || die "$NOTHING"
        number=$(($(numbers | tail -n 1) + 1))
        [ "$number" -lt $MOST ] || die "$MOST nodes are all that there are ports for"
        begin "$number" ;;
    leave)
        youngest=$(numbers | tail -n 1)
        [ "${youngest:-0}" -gt 0 ] || die "there is no worker to end"
        end "$youngest" KILL ;;
    status)
        running || die "$NOTHING"
        joined ;;
    env) printf 'export RAY_AUTH_MODE=token RAY_AUTH_TOKEN_PATH=%q RAY_ADDRESS=127.0.0.1:%s\n' "$home/token" "$port" ;;
    stop) stop ;;
    *) die "no such command: $command" ;;
esac
