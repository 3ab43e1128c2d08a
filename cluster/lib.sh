# Sourced by the scripts of this folder, not run: where a cluster's state is, which processes are its nodes, and how one
# reaches them.
#
# The state folder holds secrets, so nobody else can read it:
#
#   settings          what up.sh was told, a NAME=VALUE a line
#   jwt-secret        what tokens are signed with
#   cluster-secret    what nodes prove to each other
#   lock              held by the script that is at work
#   namespaces        the network namespaces that were made
#   nodeK/process     the node's process: its id, when it started, and in which boot of the machine. A number alone is no
#                     name: the system gives it to another process later, and that one must never be killed
#   nodeK/log         what the node said
#   nodeK/converge.db its database, with SQLite

# shellcheck shell=bash source=../scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../scripts/lib.sh"

state=${CONVERGE_CLUSTER_DIR:-$root/.cluster}
case $state in /*) ;; *) state=$PWD/$state ;; esac
# What this folder's scripts are called in advice: as this one was called.
here=$(dirname "$0")
umask 077

# advice SCRIPT [ARGUMENTS]: a command line to be shown, as it can be typed.
advice() {
    local line=""
    [ -z "${CONVERGE_CLUSTER_DIR:-}" ] || line="CONVERGE_CLUSTER_DIR=$(printf %q "$CONVERGE_CLUSTER_DIR") "
    line+=$(printf %q "$here/$1")
    shift
    echo "$line${*:+ $*}"
}

# MARK: The state folder

# setting NAME: what up.sh was told; nothing where it was told nothing.
setting() {
    [ ! -f "$state/settings" ] || sed -n "s/^$1=//p" "$state/settings"
}

need_cluster() { [ -f "$state/settings" ] || die "there is no cluster in $state: start one with $(advice up.sh)"; }

# One script at a time. The lock ends with the process, however it ends.
take_lock() {
    mkdir -p "$state"
    exec 9>"$state/lock"
    flock -n 9 || die "another of these scripts is at work in $state"
}

nodes() { seq 1 "$(setting nodes)"; }

# need_node WORD: ends the script unless the word is the number of one of the cluster's nodes.
need_node() {
    case $1 in
    [1-9]) ;;
    *) misuse "\"$1\" is no node: nodes are numbers" ;;
    esac
    [ "$1" -le "$(setting nodes)" ] || die "there is no node $1: this cluster has $(setting nodes)"
}

folder() { echo "$state/node$1"; }

# MARK: Processes

# birth PID: when it started, in ticks since the boot; false where it runs no more.
birth() {
    local line
    line=$(cat "/proc/$1/stat" 2>/dev/null) || return 1
    # The name may hold blanks and parentheses; what follows the last one doesn't.
    read -r -a line <<<"${line##*) }"
    case ${line[0]} in Z | X) return 1 ;; esac
    echo "${line[19]}"
}

boot() { cat /proc/sys/kernel/random/boot_id; }

# note_process FILE PID
note_process() { echo "$2 $(birth "$2") $(boot)" >"$1"; }

# process FILE: the id of the process that was noted, if it still runs; else false.
process() {
    local pid born boot
    [ -f "$1" ] && read -r pid born boot <"$1" || return 1
    [ "$boot" = "$(boot)" ] && [ "$(birth "$pid")" = "$born" ] || return 1
    echo "$pid"
}

node_process() { process "$(folder "$1")/process"; }

running() {
    local node
    for node in $(nodes); do
        if node_process "$node" >/dev/null; then echo "$node"; fi
    done
}

# postgres_process: the throw-away PostgreSQL of this cluster, known by the folder that it serves; false where it does not
# run. Its own file with its id is not enough: that outlives it.
postgres_process() {
    local file words data
    data=$(setting postgres)/data
    for file in /proc/[0-9]*/cmdline; do
        mapfile -d '' -t words <"$file" || continue
        case "${words[*]:0:3}" in
        *"/postgres -D $data")
            file=${file%/cmdline}
            echo "${file#/proc/}"
            return 0
            ;;
        esac
    done 2>/dev/null
    return 1
}

# await_end FILE SECONDS: until the process that was noted there has ended; false where it has not.
await_end() {
    local deadline=$((SECONDS + $2))
    while process "$1" >/dev/null; do
        [ $SECONDS -lt $deadline ] || return 1
        sleep 0.05
    done
}

# stop_nodes NODE…: gracefully, all at the same time, and by force who has not ended after 12 seconds. Says what it did.
stop_nodes() {
    local node pid stopping=()
    for node; do
        if pid=$(node_process "$node"); then
            kill -TERM "$pid" 2>/dev/null || true
            stopping+=("$node")
        fi
    done
    local deadline=$((SECONDS + 12)) rest
    for node in "${stopping[@]+"${stopping[@]}"}"; do
        rest=$((deadline - SECONDS))
        if await_end "$(folder "$node")/process" $((rest > 0 ? rest : 0)); then
            announce "node $node has stopped"
        elif pid=$(node_process "$node"); then
            kill -KILL "$pid" 2>/dev/null || true
            await_end "$(folder "$node")/process" 5 || announce "node $node (process $pid) can't be ended"
            announce "node $node did not stop within 12 s and was ended by force"
        fi
        rm -f "$(folder "$node")/process"
    done
}

# MARK: The network

is_apart() { [ "$(setting network)" = namespaces ]; }

# Names of the namespaces begin so; another beginning lets a second cluster of this kind stand beside the first.
namespace_prefix() {
    local prefix
    prefix=$(setting prefix)
    echo "${prefix:-${CONVERGE_CLUSTER_NETNS:-converge}}"
}

namespace() { echo "$(namespace_prefix)-$1"; }

host() { if is_apart; then echo "10.77.0.$1"; else echo 127.0.0.1; fi; }
client_port() { echo $(($(setting port) + $1 - 1)); }
gossip_port() { echo $(($(setting gossip_port) + $1 - 1)); }
address() { echo "$(host "$1"):$(client_port "$1")"; }
url() { echo "ws://$(address "$1")"; }

# near COMMAND…: runs it where the nodes can be reached.
near() {
    if is_apart; then ip netns exec "$(namespace hub)" "$@"; else "$@"; fi
}

# A cut from one node to another is a wrong address for the other's network card, written down for good in the first one's
# namespace: what it sends goes out and reaches nobody. That takes no packet filter and no module of the kernel.
nowhere=02:00:00:00:00:99

need_apart() {
    is_apart || die "only a cluster that was started with $(advice up.sh --netns) can be cut (as root, with iproute2)"
    [ -s "$state/namespaces" ] || die "the cluster is down: start it with $(advice up.sh --netns)"
}

sever() { ip -n "$(namespace "$1")" neigh replace "$(host "$2")" lladdr $nowhere dev eth0 nud permanent; }
rejoin() { ip -n "$(namespace "$1")" neigh del "$(host "$2")" dev eth0; }
is_cut() { ip -n "$(namespace "$1")" neigh show "$(host "$2")" dev eth0 nud permanent 2>/dev/null | grep -q $nowhere; }

# http_status HOST PORT PATH: the answer's number; false where nobody answers.
http_status() {
    # shellcheck disable=SC2016 # what is in single quotes is a program of its own
    near bash -c '
        exec 3<>"/dev/tcp/$1/$2" || exit 1
        printf "GET %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n" "$3" "$1" >&3
        IFS=" " read -r -t 2 _ status _ <&3 && echo "$status"
    ' bash "$@" 2>/dev/null
}

# MARK: Nodes

# say_why NODE OFFSET: the end of what the node has logged since.
say_why() {
    tail -c "+$(($2 + 1))" "$(folder "$1")/log" | tail -n 5 | sed 's/^/    /' >&2
}

log_size() { stat -c %s "$(folder "$1")/log" 2>/dev/null || echo 0; }

# The settings that are a node's own. What else is in the environment, such as CONVERGE_LOG or CONVERGE_RETENTION, is
# taken over. Secrets go by the environment, which only its owner and root can read, and never by arguments.
export_settings() {
    local node=$1 peers="" other
    unset PORT CONVERGE_HOST CONVERGE_DB_ADAPTER CONVERGE_DB_PATH CONVERGE_DB_DSN CONVERGE_JWT_SECRET CONVERGE_TOKEN \
        CONVERGE_GOSSIP_ADVERTISE CONVERGE_TLS_CERT CONVERGE_TLS_KEY \
        CONVERGE_CLUSTER_DIR CONVERGE_CLUSTER_NETNS CONVERGE_BINARY
    for other in $(nodes); do
        [ "$other" = "$node" ] || peers+="${peers:+,}$(host "$other"):$(gossip_port "$other")"
    done
    export CONVERGE_NODE_NAME="node$node"
    CONVERGE_ADDR="$(address "$node")"
    CONVERGE_GOSSIP_ADDR="$(host "$node"):$(gossip_port "$node")"
    CONVERGE_CLUSTER_SECRET=$(cat "$state/cluster-secret")
    export CONVERGE_ADDR CONVERGE_GOSSIP_ADDR CONVERGE_CLUSTER_SECRET
    export CONVERGE_PEERS="$peers" CONVERGE_JWT_SECRET_FILE="$state/jwt-secret"
    if [ "$(setting store)" = postgres ]; then
        CONVERGE_DB_DSN=$(cat "$(setting postgres)/dsn")
        export CONVERGE_DB_ADAPTER=postgres CONVERGE_DB_DSN
    else
        CONVERGE_DB_PATH="$(folder "$node")/converge.db"
        export CONVERGE_DB_PATH
    fi
}

# launch NODE: starts the process, and does not wait for it to be ready.
launch() {
    local node=$1 place=()
    ! is_apart || place=(ip netns exec "$(namespace "$node")")
    mkdir -p "$(folder "$node")"
    (
        export_settings "$node"
        cd "$(folder "$node")" || exit
        binary=$(setting binary)
        # Nothing of the caller's stays open in it: the lock would be held, and a pipe's reader wait for its end.
        for open in /proc/self/fd/*; do
            open=${open##*/}
            if [ "$open" -gt 2 ]; then eval "exec $open>&-"; fi
        done
        # In a session of its own, so that a Ctrl-C here is none there.
        exec setsid "${place[@]+"${place[@]}"}" "$binary" serve
    ) >>"$(folder "$node")/log" 2>&1 </dev/null &
    note_process "$(folder "$node")/process" $!
    disown $!
}

# await_start NODE: until the node is ready; 1 where it has ended, 2 where it is not ready after 30 s.
await_start() {
    local deadline=$((SECONDS + 30))
    until [ "$(http_status "$(host "$1")" "$(client_port "$1")" /ready || true)" = 200 ]; do
        node_process "$1" >/dev/null || return 1
        [ $SECONDS -lt $deadline ] || return 2
        sleep 0.1
    done
}

# await_ready NODE OFFSET: the same; ends the script, with what the node said since, where it doesn't become ready.
await_ready() {
    local problem=0
    await_start "$1" || problem=$?
    case $problem in
    0) return ;;
    1) announce "node $1 has ended; the last it said:" ;;
    2) announce "node $1 is not ready after 30 s; the last it said:" ;;
    esac
    say_why "$1" "$2"
    exit 1
}

# lost_port NODE OFFSET: whether the node has ended because something else had one of its ports.
lost_port() {
    ! node_process "$1" >/dev/null && tail -c "+$(($2 + 1))" "$(folder "$1")/log" | grep -q "is in use by another program"
}

# is_whole: whether all nodes run and are one cluster.
is_whole() {
    local node urls=()
    for node in $(nodes); do
        node_process "$node" >/dev/null || return 1
        urls+=("http://$(address "$node")")
    done
    near "$(setting binary)" status "${urls[@]}" >/dev/null 2>&1
}

# await_whole SECONDS
await_whole() {
    local deadline=$((SECONDS + $1))
    until is_whole; do
        [ $SECONDS -lt $deadline ] || return 1
        sleep 0.2
    done
}

# token USER [NAME]: for this cluster's nodes.
token() { CONVERGE_JWT_SECRET='' CONVERGE_JWT_SECRET_FILE="$state/jwt-secret" "$(setting binary)" token -- "$@"; }
