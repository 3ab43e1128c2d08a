#!/usr/bin/env bash
# Starts a cluster on this machine: builds a release, starts the nodes, and waits until they are one cluster.
#
#   cluster/up.sh [N] [--postgres] [--netns] [--port P] [--gossip-port P]
#
#   N              how many nodes, 1 to 9                                               [3]
#   --postgres     all nodes on one throw-away PostgreSQL, instead of an SQLite each
#   --netns        a network namespace for each node, which cluster/partition.sh needs; root only, and with iproute2.
#                  The nodes are 10.77.0.1, 10.77.0.2 and so on, and reached by: ip netns exec converge-hub COMMAND
#   --port         the first node's port for clients; the second has the one after it   [8081]
#   --gossip-port  the same for peers                                                   [7081]
#                  Where neither is named and something has one of these ports, free ones are taken
#
# Data, logs and secrets are kept in .cluster, or where CONVERGE_CLUSTER_DIR says; the next up.sh goes on with them.
# CONVERGE_BINARY names a `converge` that is built already. CONVERGE_CLUSTER_NETNS is what namespaces' names begin with
# [converge]. Other settings in the environment, such as CONVERGE_LOG=debug, count for all nodes.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
help_if_asked "$@"

count=""
store=sqlite
network=loopback
port=""
gossip_port=""

number() {
    case $2 in
    '' | *[!0-9]* | ??????*) misuse "$1 needs a number" ;;
    esac
    if [ "$2" -lt 1 ] || [ "$2" -gt 65527 ]; then misuse "$1 must be from 1 to 65527"; fi
}
while [ $# -gt 0 ]; do
    case $1 in
    --postgres) store=postgres ;;
    --netns) network=namespaces ;;
    --port | --gossip-port)
        number "$1" "${2:-}"
        if [ "$1" = --port ]; then port=$((10#$2)); else gossip_port=$((10#$2)); fi
        shift
        ;;
    [1-9])
        [ -z "$count" ] || misuse "two numbers of nodes"
        count=$1
        ;;
    *) misuse "\"$1\" is neither a flag nor a number of nodes from 1 to 9" ;;
    esac
    shift
done
count=${count:-3}
# Ports that were not asked for may be others.
may_choose=""
if [ -z "$port$gossip_port" ] && [ "$network" = loopback ]; then may_choose=yes; fi
port=${port:-8081}
gossip_port=${gossip_port:-7081}
distance=$((port > gossip_port ? port - gossip_port : gossip_port - port))
[ "$distance" -ge "$count" ] || misuse "the ports for clients and for peers overlap"

take_lock
kept=$(setting nodes)
if [ -n "$kept" ]; then
    up=$(running | tr '\n' ' ')
    if [ -n "$up" ]; then
        announce "the cluster in $state is up already; of its $kept nodes run: $up"
        die "look with $(advice status.sh), stop it with $(advice down.sh)"
    fi
    if [ "$kept" -gt "$count" ] || [ "$(setting store)" != "$store" ]; then
        announce "$state holds the data of $kept nodes with $(setting store)"
        die "ask for those (or for more nodes), or throw the data away with $(advice down.sh --wipe)"
    fi
fi

# MARK: What is needed

prefix=${CONVERGE_CLUSTER_NETNS:-converge}
if [ "$network" = namespaces ]; then
    [ "$store" = sqlite ] || misuse "--postgres and --netns don't go together: the database is outside the namespaces"
    command -v ip >/dev/null || die "--netns needs iproute2: on Debian, apt-get install iproute2"
    [ "$(id -u)" = 0 ] || die "--netns needs root: only root can make network namespaces"
    case $prefix in
    *[!A-Za-z0-9_-]* | ????????????* | '') die "CONVERGE_CLUSTER_NETNS must be 1 to 11 letters, digits, - and _" ;;
    esac
fi
if [ -n "${CONVERGE_BINARY:-}" ]; then
    [ -x "$CONVERGE_BINARY" ] || die "CONVERGE_BINARY=$CONVERGE_BINARY is no program"
    binary=$(realpath -- "$CONVERGE_BINARY")
else
    need_swift
    need_libraries
    announce "building (a few minutes the first time)"
    swift build --package-path "$root" -c release --product converge >&2 9>&-
    binary=$(swift build --package-path "$root" -c release --show-bin-path 9>&-)/converge
fi

# MARK: From here on, what was begun and not finished is undone

begun=""
finish() {
    local status=$?
    trap '' INT TERM HUP
    [ -n "$begun" ] || exit $status
    announce "not started: what had been started is stopped again"
    for node in $(running); do kill -KILL "$(node_process "$node")" 2>/dev/null || true; done
    for node in $(nodes); do
        await_end "$(folder "$node")/process" 5 || true
        rm -f "$(folder "$node")/process"
    done
    "$(dirname "${BASH_SOURCE[0]}")/down.sh" --locked >&2 || true
    exit $status
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

postgres=$(setting postgres)
if [ "$store" = postgres ] && [ -z "$postgres" ]; then
    # PostgreSQL does not run as root, and its user can't enter every folder that root can.
    if [ "$(id -u)" = 0 ]; then
        postgres=$(mktemp -d "${TMPDIR:-/tmp}/converge-postgres.XXXXXX")
    else
        postgres=$state/postgres
    fi
fi
for name in jwt-secret cluster-secret; do
    if [ ! -s "$state/$name" ]; then
        od -An -v -N 32 -tx1 /dev/urandom | tr -d ' \n' >"$state/$name.new"
        mv "$state/$name.new" "$state/$name"
    fi
done
write_settings() {
    cat >"$state/settings" <<SETTINGS
nodes=$count
store=$store
network=$network
prefix=$prefix
port=$port
gossip_port=$gossip_port
binary=$binary
postgres=$postgres
SETTINGS
}

# choose_ports: all at once, so that no two are the same.
choose_ports() {
    port=$(free_ports $((2 * count)))
    gossip_port=$((port + count))
    write_settings
}

write_settings
if [ "$network" = loopback ]; then
    for node in $(nodes); do
        for wanted in "$(client_port "$node")" "$(gossip_port "$node")"; do
            is_free "$wanted" && continue
            if [ -z "$may_choose" ]; then
                announce "port $wanted, which node $node needs, is in use"
                die "stop what has it, or choose others: $(advice up.sh --port 9081 --gossip-port 9581)"
            fi
            choose_ports
            announce "port $wanted is in use: the nodes have $port to $((gossip_port + count - 1))"
            break 2
        done
    done
fi

begun=yes
if [ "$network" = namespaces ]; then
    make_namespace() {
        ! ip netns list | grep -qE "^$1( |$)" || {
            announce "there is a network namespace $1 already, which this cluster did not make"
            die "is another cluster up? Else remove it with: ip netns delete $1 (or set CONVERGE_CLUSTER_NETNS)"
        }
        ip netns add "$1"
        echo "$1" >>"$state/namespaces"
        ip -n "$1" link set lo up
    }
    "$(dirname "${BASH_SOURCE[0]}")/down.sh" --locked >&2
    hub=$(namespace hub)
    make_namespace "$hub"
    ip -n "$hub" link add bridge type bridge
    ip -n "$hub" addr add 10.77.0.254/24 dev bridge
    ip -n "$hub" link set bridge up
    for node in $(nodes); do
        own=$(namespace "$node")
        make_namespace "$own"
        ip -n "$hub" link add "node$node" type veth peer name eth0 netns "$own"
        ip -n "$hub" link set "node$node" master bridge up
        ip -n "$own" addr add "$(host "$node")/24" dev eth0
        ip -n "$own" link set eth0 up
    done
fi

if [ "$store" = postgres ]; then
    announce "starting PostgreSQL"
    # What an interrupted start has left can't be gone on with.
    [ -f "$postgres/dsn" ] || rm -rf "$postgres"
    "$root/scripts/throwaway_postgres.sh" start "$postgres" >/dev/null 9>&-
fi

declare -A offsets
for try in 1 2 3 4 5; do
    for node in $(nodes); do
        offsets[$node]=$(log_size "$node")
        launch "$node"
    done
    lost=""
    for node in $(nodes); do
        await_start "$node" && continue
        if lost_port "$node" "${offsets[$node]}"; then lost=$node && break; fi
    done
    # Somebody was faster.
    if [ -z "$lost" ] || [ -z "$may_choose" ] || [ "$try" = 5 ]; then break; fi
    announce "something took a port of node $lost meanwhile: once more with others"
    # shellcheck disable=SC2046 # numbers
    stop_nodes $(nodes)
    choose_ports
done
for node in $(nodes); do await_ready "$node" "${offsets[$node]}"; done
if ! await_whole 30; then
    announce "the nodes run, but are not one cluster after 30 s; look with $(advice status.sh) and $(advice logs.sh)"
    begun=""
    exit 1
fi
begun=""

# MARK: How to use it

users=(ann bob cat dan eve fay gus hal ivy)
names=(Ann Bob Cat Dan Eve Fay Gus Hal Ivy)
if [ "$count" = 1 ]; then echo "One node is up."; else echo "$count nodes are up and one cluster."; fi
echo
echo "To talk, each in a terminal of its own:"
for node in $(nodes); do
    echo "  $(advice chat.sh "$node" "${users[node - 1]}" "${names[node - 1]}")"
done
echo
echo "For other clients, the address and a token for 24 hours:"
for node in $(nodes); do
    echo "  node$node  $(url "$node")/ws"
    echo "         $(token "${users[node - 1]}" "${names[node - 1]}")"
done
if [ "$network" = namespaces ]; then
    echo "They are reached from the namespace $(namespace hub):"
    echo "  CONVERGE_TOKEN=TOKEN ip netns exec $(namespace hub) $(printf %q "$binary") chat --server $(url 1)"
fi
echo
echo "To look:   $(advice status.sh)    $(advice logs.sh "[NODE]")"
echo "To break:  $(advice kill.sh NODE)    $(advice restart.sh NODE)"
if [ "$network" = namespaces ]; then
    echo "           $(advice partition.sh 1)    $(advice heal.sh)"
fi
echo "To stop:   $(advice down.sh "[--wipe]")"
