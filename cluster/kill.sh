#!/usr/bin/env bash
# Ends a node at once, as a crash would (SIGKILL):  cluster/kill.sh NODE
# Its users leave on the other nodes; cluster/restart.sh NODE starts it again, and it catches up.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

help_if_asked "$@"
no_flags "$@"
[ $# -eq 1 ] || misuse "one node is needed"
need_cluster
need_node "$1"
take_lock
pid=$(node_process "$1") || die "node $1 does not run"
kill -KILL "$pid"
await_end "$(folder "$1")/process" 5 || die "node $1 (process $pid) can't be ended"
rm -f "$(folder "$1")/process"
announce "node $1 is killed"
