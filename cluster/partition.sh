#!/usr/bin/env bash
# Cuts nodes off from each other. Nothing is refused and no link is closed: what one sends the other is lost on the way,
# as where a cable is cut. Clients still reach every node. Cuts add up until cluster/heal.sh.
#
#   cluster/partition.sh GROUP…          splits the cluster into these groups, and one of the nodes that are not named:
#                                        1 2,3 (or '1|2,3') and also 1 alone: the first against the rest; 1 2 3: all apart
#   cluster/partition.sh --pair A B      cuts only these two, both ways: 1 3 leaves both in touch with 2
#   cluster/partition.sh --one-way A B   what A sends does not reach B; what B sends reaches A
#
# The cluster must have been started with cluster/up.sh --netns.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
help_if_asked "$@"

form=groups
case ${1:-} in
--pair | --one-way)
    form=${1#--}
    shift
    ;;
-*) misuse "there is no flag $1" ;;
esac
need_cluster
need_apart

if [ "$form" != groups ]; then
    [ $# -eq 2 ] || misuse "--$form needs two nodes"
    need_node "$1"
    need_node "$2"
    [ "$1" != "$2" ] || misuse "a node can't be cut off from itself"
    sever "$1" "$2"
    if [ "$form" = pair ]; then sever "$2" "$1"; fi
    announce "cut: node $1 and node $2, $(if [ "$form" = pair ]; then echo both ways; else echo "only from $1 to $2"; fi)"
    exit 0
fi

IFS='|' read -r -a groups <<<"$(IFS='|' && echo "$*")"
[ ${#groups[@]} -gt 0 ] || misuse "a group is needed"
declare -A group_of
for index in "${!groups[@]}"; do
    IFS=', ' read -r -a members <<<"${groups[index]}"
    for node in "${members[@]+"${members[@]}"}"; do
        need_node "$node"
        [ -z "${group_of[$node]:-}" ] || misuse "node $node is named twice"
        group_of[$node]=$((index + 1))
    done
done
for from in $(nodes); do
    for to in $(nodes); do
        if [ "${group_of[$from]:-0}" != "${group_of[$to]:-0}" ]; then sever "$from" "$to"; fi
    done
done
shown=""
for group in $(seq 1 ${#groups[@]}) 0; do
    shown_group=$(for node in $(nodes); do if [ "${group_of[$node]:-0}" = "$group" ]; then echo "$node"; fi; done | paste -sd,)
    if [ -n "$shown_group" ]; then shown+="${shown:+ | }$shown_group"; fi
done
announce "cut: $shown"
