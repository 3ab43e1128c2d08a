#!/usr/bin/env bash
# Starts a node again:  cluster/restart.sh NODE
# One that runs is stopped gracefully first. The program is taken as it is now: to upgrade a cluster without a pause,
# build, then restart one node after the other.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

help_if_asked "$@"
no_flags "$@"
[ $# -eq 1 ] || misuse "one node is needed"
need_cluster
need_node "$1"
take_lock
if is_apart && ! grep -qx "$(namespace "$1")" "$state/namespaces" 2>/dev/null; then
    die "the cluster is down: start it with $(advice up.sh --netns)"
fi
if [ "$(setting store)" = postgres ] && ! postgres_process >/dev/null; then
    die "the cluster is down: start it with $(advice up.sh --postgres)"
fi
stop_nodes "$1"
offset=$(log_size "$1")
launch "$1"
await_ready "$1" "$offset"
announce "node $1 is ready: $(url "$1")"
