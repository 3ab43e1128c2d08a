#!/usr/bin/env bash
# Breaks real clusters: nodes that are killed at random under writing clients, cut networks, full disks, wrong clocks,
# strangers at the port for peers. Afterwards everything that was promised must be there.
#
#   scripts/chaos.sh [--minutes M | --quick] [--seed N] [--skip-build]
#
#   --minutes M     how long, about, beside building; 4 unless said otherwise
#   --quick         each test of clusters once, with a few seconds of kills: scripts/test.sh's part
#   --seed N        the same decisions as a run before: a failure names its seed
#   --skip-build    what is built already is run
#
# Each node is a process with a database in a temporary folder. The networks that are cut are namespaces inside one that
# this script makes for itself, as root or in a user namespace; nothing of the machine's own network is touched. Where
# that is not allowed, those tests are left out, and a line says so.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
help_if_asked "$@"

minutes=4
quick=
seed=
build=1
while [ $# -gt 0 ]; do
    case $1 in
        --minutes | --seed)
            need_value "$1" $#
            declare "${1#--}=$2"
            shift
            ;;
        --quick) quick=1 ;;
        --skip-build) build= ;;
        *) misuse "not understood: $1" ;;
    esac
    shift
done
case $minutes in '' | *[!0-9]* | 0) misuse "--minutes takes a whole number from 1" ;; esac
case $seed in *[!0-9]*) misuse "--seed takes a whole number" ;; esac

# The programs that the tests use; without libfaketime the one with a wrong clock is left out.
have_faketime() { compgen -G "/usr/lib/*/faketime/libfaketimeMT.so.1" >/dev/null; }
need_tools() {
    local missing=()
    command -v ip >/dev/null || missing+=(iproute2)
    command -v setpriv >/dev/null || missing+=(util-linux)
    have_faketime || missing+=(faketime)
    [ ${#missing[@]} -eq 0 ] && return
    (install "${missing[@]}") || announce "left out is what needs: ${missing[*]}"
}

# in_network COMMAND…: in a network of its own, which is only "lo" at first, with a /run where namespaces may be named.
enter='mount -t tmpfs none /run && mkdir -p /run/netns && ip link set lo up && exec "$@"'
in_network() { unshare "${unshared[@]}" sh -c "$enter" chaos "$@"; }
find_network() {
    unshared=(--net --mount --fork --kill-child)
    command -v ip >/dev/null || return 1
    in_network ip link add probe type bridge 2>/dev/null && return
    unshared+=(--map-root-user)
    in_network ip link add probe type bridge 2>/dev/null
}

need_swift
need_libraries
need_tools
# A node's own settings, where the caller has some, are not the tests'.
for name in $(compgen -e CONVERGE_); do unset "$name"; done
unset PORT

[ -z "$build" ] || swift build --package-path "$root" --build-tests

enter_network=()
if find_network; then
    enter_network=(in_network)
    export CONVERGE_TEST_NETWORK=own
else
    announce "no network namespaces here (they take root, or user namespaces): networks are NOT cut in this run"
fi

# What began and what passed is left out; what the tests saw is shown.
tests() {
    "${enter_network[@]}" swift test --package-path "$root" --skip-build --disable-xctest "$@" 2>&1 </dev/null |
        awk '/^◇/ || (/^✔/ && !/ Test run /) { next } { print; fflush() }'
}

all='ConvergeIntegrationTests\.ClusterTests'
[ -z "$seed" ] || export CONVERGE_TEST_SEED=$seed
if [ -n "$quick" ]; then
    tests --filter "$all"
    exit
fi

began=$SECONDS
until=$((began + minutes * 60))
rounds=0
announce "everything that clusters are tested for, with a minute of kills"
CONVERGE_TEST_CHAOS_SECONDS=$((minutes > 2 ? 60 : 20)) tests --filter "$all"
while [ $((until - SECONDS)) -gt 45 ]; do
    rounds=$((rounds + 1))
    announce "round $rounds of kills and cuts, other ones"
    [ -z "$seed" ] || export CONVERGE_TEST_SEED=$((seed + rounds))
    CONVERGE_TEST_CHAOS_SECONDS=15 \
        tests --filter "$all/(ChaosTests|PartitionTests)"
done
announce "$((SECONDS - began)) s: all tests of clusters once, and $rounds more rounds of kills and cuts; nothing was lost"
