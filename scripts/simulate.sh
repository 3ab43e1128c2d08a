#!/usr/bin/env bash
# Runs whole clusters in virtual time, each from a seed: faults first, then a heal after which all must agree.
#
#   scripts/simulate.sh [--seeds N] [--from S] [--nodes N] [--minutes M]   runs on all cores [500 seeds from 1]
#       --rewinds                                                          with disks set back so that logs fork
#       --shared                                                           with nodes that write one database
#       --generation G                                                     by the rules of an earlier generation of seeds
#       --full-disks                                                       with disks that have no room at times
#       --maps                                                             with documents of all kinds
#       --paced                                                            with commits at a pace
#       --far-clocks                                                       with wall clocks hours and years ahead
#   scripts/simulate.sh --trace SEED [--nodes N]                           one run, told from the beginning
#   scripts/simulate.sh --plant NAME|all                                   how many seeds find a planted fault
#   scripts/simulate.sh --figures                                          what a cluster costs
#   scripts/simulate.sh --same SEED [--nodes N]                            fails unless two processes run it alike
#
# Ends with 1 where anything was violated or not found. docs/simulation.md tells how to read a trace.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
help_if_asked "$@"

need_swift
need_libraries

export CONVERGE_SIMULATION=1
build=(swift build --package-path "$root" -c release --scratch-path "$root/.build/simulation" -Xswiftc -enable-testing)
"${build[@]}" --product simulate >&2
simulate=$("${build[@]}" --show-bin-path)/simulate

if [ "${1:-}" = --same ]; then
    [ $# -ge 2 ] || die "--same needs a seed"
    shift
    one=$("$simulate" --hash "$@")
    other=$("$simulate" --hash "$@")
    echo "$one"
    [ "$one" = "$other" ] || die "the second process ran it another way: $other"
    exit
fi
exec "$simulate" "$@"
