#!/usr/bin/env bash
# Shows the cluster that cluster/up.sh started: its processes, which links are cut, and what the nodes say of each other.
#
#   cluster/status.sh [--json | --watch]
#
# The flags are those of `converge status`, and show only what that says. The exit status is 0 while all nodes run and
# are one cluster, else 1.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
help_if_asked "$@"

flags=()
for word; do
    case $word in
    --json | --watch) flags+=("$word") ;;
    *) misuse "\"$word\" is no flag" ;;
    esac
done
need_cluster
urls=()
for node in $(nodes); do urls+=("http://$(address "$node")"); done
whole=0
if [ ${#flags[@]} -eq 0 ]; then
    for node in $(nodes); do
        if pid=$(node_process "$node"); then
            answer=$(http_status "$(host "$node")" "$(client_port "$node")" /ready || true)
            case $answer in
            200) answer="ready" ;;
            503) answer="not ready" ;;
            *) answer="does not answer" ;;
            esac
            printf 'node%s  process %-8s %-16s %s\n' "$node" "$pid" "$answer" "$(url "$node")"
        else
            printf 'node%s  does not run\n' "$node"
            whole=1
        fi
    done
    if is_apart && [ -s "$state/namespaces" ]; then
        for from in $(nodes); do
            for to in $(nodes); do
                if is_cut "$from" "$to"; then echo "cut: nothing gets from node $from to node $to"; fi
            done
        done
    fi
    echo
fi
if is_apart && [ ! -s "$state/namespaces" ]; then die "the cluster is down"; fi
if ! "$(setting binary)" help status >/dev/null 2>&1; then
    is_whole || exit 1
    echo "every node has a link to every other one"
    exit 0
fi
near "$(setting binary)" status "${flags[@]+"${flags[@]}"}" "${urls[@]}" || whole=$?
exit $whole
