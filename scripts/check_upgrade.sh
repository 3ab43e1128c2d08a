#!/usr/bin/env bash
# Has the build before this one and this one stand side by side in a cluster, and one after the other on one database, with
# real processes, and looks whether each sees what it should.
#
#   scripts/check_upgrade.sh [--from COMMIT] [--old BINARY] [--new BINARY]
#
#   --from COMMIT   the build before            [a994bd5a52441496a68862e78fc2ee53f0819223]
#   --old, --new    converge binaries that are built already: nothing is built for these
#
# Building takes some minutes for each; the rest takes half a minute. It ends with 0 only if each step was seen to be true, and
# leaves nothing behind.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
help_if_asked "$@"

# The last one that kept each kind of document in tables of its own, and has one room a connection.
from=a994bd5a52441496a68862e78fc2ee53f0819223
old="" new=""
while [ $# -gt 0 ]; do
    case $1 in
    --from | --old | --new)
        need_value "$1" $#
        declare "${1#--}=$2"
        shift 2
        ;;
    *) misuse "not understood: $1" ;;
    esac
done

work=$(mktemp -d "${TMPDIR:-/tmp}/converge-upgrade.XXXXXX")
declare -A nodes=()
finish() {
    local status=$? node
    trap '' INT TERM HUP
    for node in "${!nodes[@]}"; do kill "${nodes[$node]}" 2>/dev/null || true; done
    wait 2>/dev/null || true
    [ $status = 0 ] || tail -n 5 "$work"/*.log >&2 2>/dev/null || true
    rm -rf "$work"
    exit $status
}
trap finish EXIT
trap 'exit 130' INT TERM HUP

# MARK: Two builds

if [ -z "$old" ]; then
    need_swift
    need_libraries
    announce "building $from"
    mkdir "$work/source"
    git -C "$root" archive "$from" | tar -x -C "$work/source" || die "there is no commit $from here: fetch the whole history"
    swift build --package-path "$work/source" -c release --product converge >&2
    old=$(swift build --package-path "$work/source" -c release --show-bin-path)/converge
fi
if [ -z "$new" ]; then
    need_swift
    need_libraries
    announce "building this one"
    swift build --package-path "$root" -c release --product converge >&2
    new=$(swift build --package-path "$root" -c release --show-bin-path)/converge
fi

# MARK: Nodes and people

for name in $(compgen -e CONVERGE_); do unset "$name"; done
CONVERGE_JWT_SECRET=$("$new" secret)
secret=$("$new" secret)
export CONVERGE_JWT_SECRET
declare -A ports=() peers=()
for node in 1 2 3; do
    ports[$node]=$(free_port)
    peers[$node]=$(free_port)
done

# start NODE BINARY
start() {
    CONVERGE_HOST=127.0.0.1 PORT=${ports[$1]} CONVERGE_DB_PATH=$work/$1.db CONVERGE_NODE_NAME=n$1 \
        CONVERGE_CLUSTER_NAME=upgrade CONVERGE_CLUSTER_SECRET=$secret CONVERGE_GOSSIP_ADDR=127.0.0.1:${peers[$1]} \
        CONVERGE_PEERS=127.0.0.1:${peers[1]},127.0.0.1:${peers[2]},127.0.0.1:${peers[3]} \
        "$2" serve >>"$work/$1.log" 2>&1 &
    nodes[$1]=$!
    await_port "${ports[$1]}" "${nodes[$1]}" || die "node $1 did not start"
}

stop() {
    kill "${nodes[$1]}"
    wait "${nodes[$1]}" || die "node $1 did not end as it should"
    unset "nodes[$1]"
}

# talk BINARY NODE USER LINE…: types these lines into a terminal client, and prints what it shows.
talk() {
    local binary=$1 node=$2 user=$3 token
    shift 3
    token=$("$new" token "$user")
    printf '%s\n' "$@" | CONVERGE_TOKEN=$token timeout 60 \
        "$binary" chat --server "ws://127.0.0.1:${ports[$node]}" --room upgrade 2>&1 || true
}

# expect TEXT BINARY NODE USER LINE…: what the client shows comes to have the text, within 15 s.
expect() {
    local text=$1 deadline=$((SECONDS + 15)) shown
    shift
    while true; do
        shown=$(talk "$@")
        if grep -qF -- "$text" <<<"$shown"; then
            echo "   ✓ node $2: $text"
            return
        fi
        [ $SECONDS -lt $deadline ] || die "node $2 does not show: $text. It shows: $shown"
        sleep 0.5
    done
}

# MARK: One database

echo "One database: the build before writes it, this one goes on with it"
start 1 "$old"
talk "$old" 1 ann "before" "/doc list add milk" "/doc votes +3" "/doc topic set plan" >/dev/null
stop 1
start 1 "$new"
expect "before" "$new" 1 bob "/history 20"
expect "milk" "$new" 1 bob "/doc list"
expect "votes stands at 3" "$new" 1 bob "/doc votes"
expect "plan" "$new" 1 bob "/doc topic"
expect "red" "$new" 1 bob "/doc config put colour red" "/doc config"
stop 1

echo "The build before finds the newer database, says so, and leaves it alone"
before=$(cksum <"$work/1.db")
start 1 "$old"
deadline=$((SECONDS + 15))
until grep -q "use a newer converge" "$work/1.log"; do
    [ $SECONDS -lt $deadline ] || die "it does not say that the database is a newer one's"
    sleep 0.2
done
stop 1
[ "$before" = "$(cksum <"$work/1.db")" ] || die "it has changed the database"
echo "   ✓ $(grep -o 'the database has.*converge' "$work/1.log" | tail -n 1)"

# MARK: One cluster

echo "One cluster: nodes 1 and 2 of this build, node 3 of the build before"
start 1 "$new"
start 2 "$new"
start 3 "$old"
expect "before" "$old" 3 cat "/history 20"
expect "milk" "$old" 3 cat "/doc list"
talk "$old" 3 cat "from the old one" "/doc list add bread" "/doc votes +4" >/dev/null
expect "from the old one" "$new" 2 bob "/history 20"
expect "bread" "$new" 2 bob "/doc list"
expect "votes stands at 7" "$new" 2 bob "/doc votes"
talk "$new" 1 ann "from the new one" "/doc list add tea" >/dev/null
expect "from the new one" "$old" 3 cat "/history 20"
expect "tea" "$old" 3 cat "/doc list"
expect "does not know such documents" "$new" 1 ann "/doc config put colour blue"

echo "Node 3 is upgraded"
stop 3
start 3 "$new"
expect "blue" "$new" 3 cat "/doc config put colour blue" "/doc config"
expect "blue" "$new" 1 ann "/doc config"
expect "from the new one" "$new" 3 cat "/history 20"
for node in 1 2 3; do stop $node; done
echo
echo "All of it was seen to be true."
