#!/usr/bin/env bash
# Talks through one of the cluster's nodes, from a terminal or through a pipe:  cluster/chat.sh NODE [USER [NAME]]
# CONVERGE_ROOM names the room [lobby].
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

help_if_asked "$@"
case ${1:-} in -*) misuse "there is no flag $1" ;; esac
if [ $# -lt 1 ] || [ $# -gt 3 ]; then misuse "a node is needed"; fi
need_cluster
need_node "$1"
user=${2:-${USER:-demo}}
# In the environment, not in the arguments: those show in ps.
CONVERGE_TOKEN=$(token "$user" "${3:-$user}")
export CONVERGE_TOKEN
chat=("$(setting binary)" chat --server "$(url "$1")" --room "${CONVERGE_ROOM:-lobby}")
if is_apart; then exec ip netns exec "$(namespace hub)" "${chat[@]}"; else exec "${chat[@]}"; fi
