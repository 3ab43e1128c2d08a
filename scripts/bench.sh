#!/usr/bin/env bash
# Measures a release build and writes the table in docs/benchmarks.md.
#
#   scripts/bench.sh --tools DIR [--compare FILE] [--runs N] [--only WORK,…] [--no-write]
#   scripts/bench.sh crdt [--no-write]      the replicated types alone, which need no tools
#   scripts/bench.sh cluster [WORK,…]       three nodes; prints what it found. Tools by CONVERGE_BENCH_TOOLS. Of cluster-20
#                                           cluster-100 cluster-saturated catch-up catch-up-empty cluster-quiet
#
#   --tools DIR      a folder with `wsload`, the load generator, and `floor`, the least that a broadcast server can do
#                    (or CONVERGE_BENCH_TOOLS)
#   --compare FILE   the program that runs a server beside the floor [DIR/compare.py]
#   --runs N         of each work, of which the median counts [3]
#   --only WORK,…    of fan200 fan1000 deep200 paced200 rooms idle storm, and of history-5000 history-20000 idle-5000
#                    idle-most vanish
#   --no-write       leave docs/benchmarks.md as it is
#
# The node has core 0 to itself and the generator core 1: keep the machine otherwise idle. SQLite, sync full.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
help_if_asked "$@"

if [ "${1:-}" = crdt ]; then
    shift
    exec "$root/scripts/bench/crdt.sh" "$@"
fi

if [ "${1:-}" = cluster ]; then
    case ${2:-} in -*) misuse "not understood: $2" ;; esac
    [ $# -le 2 ] || misuse "cluster takes one list of works"
    [ -x "${CONVERGE_BENCH_TOOLS:-}/wsload" ] || die "CONVERGE_BENCH_TOOLS must name the folder with the load generator, wsload"
    need_swift
    need_libraries
    swift build --package-path "$root" -c release --product converge >&2
    binary=$(swift build --package-path "$root" -c release --show-bin-path)/converge
    export PYTHONDONTWRITEBYTECODE=1
    exec python3 "$root/scripts/bench/cluster.py" --tools "$CONVERGE_BENCH_TOOLS" --binary "$binary" \
        --only "${2:-}" --json /dev/null
fi

tools=${CONVERGE_BENCH_TOOLS:-} compare="" runs=3 only="" write=1
while [ $# -gt 0 ]; do
    case $1 in
    --tools | --compare | --runs | --only)
        need_value "$1" $#
        declare "${1#--}=$2"
        shift 2
        ;;
    --no-write) write="" && shift ;;
    *) misuse "not understood: $1" ;;
    esac
done
[ -n "$tools" ] || die "name the folder of the load tools by --tools or CONVERGE_BENCH_TOOLS (scripts/bench.sh --help says what is in it)"
tools=$(cd "$tools" && pwd) || die "there is no folder $tools"
compare=${compare:-$tools/compare.py}
for program in "$tools/wsload" "$tools/floor"; do
    [ -x "$program" ] || die "$program is missing: compile the load tools into $tools first"
done
[ -f "$compare" ] || die "$compare is missing: name it by --compare"
for program in python3 taskset; do
    command -v "$program" >/dev/null || die "this needs $program"
done
[ "$(nproc)" -ge 2 ] || die "this needs two cores, one for the node and one for the load"
ulimit -n "$(ulimit -Hn)"

# Which of the works the comparison has, and which are ours.
compared="" extra=""
for work in ${only//,/ }; do
    case $work in
    fan200 | fan1000 | deep200 | paced200 | rooms | idle | storm) compared+=${compared:+,}$work ;;
    *) extra+=${extra:+,}$work ;;
    esac
done

need_swift
need_libraries
swift build --package-path "$root" -c release --product converge >&2
binary=$(swift build --package-path "$root" -c release --show-bin-path)/converge

results=$(mktemp -d)
trap 'rm -rf "$results"' EXIT
export PYTHONDONTWRITEBYTECODE=1
failed=""
if [ -z "$only" ] || [ -n "$compared" ]; then
    python3 "$compare" --bin "$tools" --cmd "$binary serve" --runs "$runs" --only "$compared" --json "$results/compared.json" || failed=1
fi
if [ -z "$only" ] || [ -n "$extra" ]; then
    python3 "$root/scripts/bench/extra.py" --tools "$tools" --binary "$binary" --only "$extra" --json "$results/extra.json" || failed=1
fi

if [ -n "$write" ]; then
    commit=$(git -C "$root" rev-parse --short HEAD 2>/dev/null || echo unknown)
    [ -z "$(git -C "$root" status --porcelain -- Package.swift Sources 2>/dev/null)" ] || commit+=" with changes"
    cpu=$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1)
    heading="Measured on $(date -u +%F) at commit $commit, on ${cpu:-$(uname -m)}, $(nproc) cores, Linux $(uname -r | cut -d- -f1),
$(swift --version 2>/dev/null | sed -nE 's/.*(Swift version [0-9.]+).*/\1/p' | head -n 1), by \`scripts/bench.sh --tools DIR\`; medians of $runs."
    python3 "$root/scripts/bench/table.py" "$root/docs/benchmarks.md" "$heading" "$results/compared.json" "$results/extra.json"
    announce "written: docs/benchmarks.md"
fi
[ -z "$failed" ] || die "not everything could be measured"
