#!/usr/bin/env bash
# Shows what the nodes log, as it comes, until Ctrl-C:  cluster/logs.sh [NODE]
# Without a node it shows all of them. The files are nodeK/log in the state folder (.cluster).
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

help_if_asked "$@"
no_flags "$@"
[ $# -le 1 ] || misuse "one node at most"
need_cluster
files=()
if [ $# -eq 1 ]; then
    need_node "$1"
    files=("$(folder "$1")/log")
else
    for node in $(nodes); do files+=("$(folder "$node")/log"); done
fi
exec tail -n 40 -F -- "${files[@]}"
