#!/usr/bin/env bash
# Measures the replicated types, prints the figures and writes them into docs/benchmarks.md.
#
#   scripts/bench.sh crdt [--no-write]
#
# Takes one core for under a minute: keep the machine otherwise idle.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"
help_if_asked "$@"

write=1
case "${1:-}" in
"") ;;
--no-write) write="" ;;
*) misuse "not understood: $1" ;;
esac

need_swift
need_libraries
package=$root/scripts/bench/crdt
swift build --package-path "$package" -c release >&2
figures=$("$(swift build --package-path "$package" -c release --show-bin-path)/crdt-bench")
printf '%s\n' "$figures"
[ -n "$write" ] || exit 0

commit=$(git -C "$root" rev-parse --short HEAD 2>/dev/null || echo unknown)
[ -z "$(git -C "$root" status --porcelain -- Package.swift Sources/CRDT 2>/dev/null)" ] || commit+=" with changes"
cpu=$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1)
swift=$(swift --version 2>/dev/null | sed -nE 's/.*(Swift version [0-9.]+).*/\1/p' | head -n 1)
heading="Measured on $(date -u +%F) at commit $commit, on ${cpu:-$(uname -m)}, Linux $(uname -r | cut -d- -f1), $swift."

# Between the markers; all else in the file is left alone.
file=$root/docs/benchmarks.md
begin="<!-- measured: written by scripts/bench.sh crdt -->"
end="<!-- end of what the replicated types cost -->"
grep -qxF "$begin" "$file" && grep -qxF "$end" "$file" || die "$file has no place for the figures: the lines $begin and $end"
written=$(mktemp)
trap 'rm -f "$written"' EXIT
{
    sed "\\%^$begin\$%q" "$file"
    printf '\n%s\n\n%s\n\n' "$heading" "$figures"
    sed -n "\\%^$end\$%,\$p" "$file"
} >"$written"
cat "$written" >"$file"
announce "written: docs/benchmarks.md"
