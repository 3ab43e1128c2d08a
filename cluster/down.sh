#!/usr/bin/env bash
# Stops the cluster that cluster/up.sh started: gracefully, and by force what has not ended after 12 seconds.
#
#   cluster/down.sh [--wipe]
#
#   --wipe   also removes its data, logs and secrets
#
# It ends only the processes that up.sh and restart.sh have started, and removes the network namespaces that up.sh made.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
help_if_asked "$@"

wipe=""
locked=""
for word; do
    case $word in
    --wipe) wipe=yes ;;
    --locked) locked=yes ;; # by up.sh, which has the lock
    *) misuse "\"$word\" is no flag" ;;
    esac
done
if [ ! -f "$state/settings" ]; then
    announce "there is no cluster in $state"
    exit 0
fi
[ -n "$locked" ] || take_lock

up=$(running)
# shellcheck disable=SC2086 # numbers
stop_nodes $up

# Namespaces come after the nodes in them. A name is struck off when it is gone, so that this can be repeated.
if [ -s "$state/namespaces" ]; then
    while read -r name; do
        if ip netns list | grep -qE "^$name( |$)"; then ip netns delete "$name"; fi
    done <"$state/namespaces"
fi
rm -f "$state/namespaces"

postgres=$(setting postgres)
if [ -n "$postgres" ] && postgres_process >/dev/null; then
    "$root/scripts/throwaway_postgres.sh" halt "$postgres" 9>&-
    # One that had only begun to start can't be halted so.
    if pid=$(postgres_process); then kill -QUIT "$pid"; fi
    announce "PostgreSQL has stopped"
fi

if [ -n "$wipe" ]; then
    [ -z "$postgres" ] || rm -rf "$postgres"
    for node in {1..9}; do rm -rf "$(folder "$node")"; done
    rm -f "$state/jwt-secret" "$state/cluster-secret" "$state/settings" "$state/lock"
    # Whatever else somebody has put there stays.
    rmdir "$state" 2>/dev/null || true
    announce "data, logs and secrets are removed"
elif [ -z "$up" ] && [ -z "$locked" ]; then
    announce "no node was running"
fi
