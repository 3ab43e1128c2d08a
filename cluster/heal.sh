#!/usr/bin/env bash
# Takes back what cluster/partition.sh has cut:  cluster/heal.sh [--no-wait] [A B]
# All cuts, or those between two nodes. Where no cut is left it waits until the running nodes are one cluster again.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
help_if_asked "$@"

wait=yes
pair=()
for word; do
    case $word in
    --no-wait) wait="" ;;
    -*) misuse "there is no flag $word" ;;
    *) pair+=("$word") ;;
    esac
done
[ ${#pair[@]} -eq 0 ] || [ ${#pair[@]} -eq 2 ] || misuse "two nodes, or none for all"
need_cluster
need_apart
for node in "${pair[@]+"${pair[@]}"}"; do need_node "$node"; done

left=0
healed=0
for from in $(nodes); do
    for to in $(nodes); do
        is_cut "$from" "$to" || continue
        case ",${pair[*]+${pair[*]}}," in
        ",," | ",$from $to," | ",$to $from,")
            rejoin "$from" "$to"
            healed=$((healed + 1))
            ;;
        *) left=$((left + 1)) ;;
        esac
    done
done
announce "healed: $healed ways; still cut: $left"
if [ -z "$wait" ] || [ $left -gt 0 ] || [ "$(running | wc -l)" != "$(setting nodes)" ]; then exit 0; fi
await_whole 60 || die "the nodes are not one cluster after 60 s: look with $(advice status.sh)"
announce "the nodes are one cluster"
