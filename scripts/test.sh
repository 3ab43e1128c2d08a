#!/usr/bin/env bash
# Builds and runs all tests, those against a real PostgreSQL too, straight and through PgBouncer: both are started here and
# removed again. Where PgBouncer can't be installed, the tests through it are skipped, and this says so; the same with tmux
# and the tests of the full-screen chat.
#
#   scripts/test.sh [ARGUMENT…]      arguments of `swift test`: --filter ConvergeWireTests, --skip, --skip-build,
#                                    --parallel, --no-parallel, --num-workers, --configuration, --sanitize, --verbose, --quiet
#
# Tests that pass are not listed unless VERBOSE=1.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
help_if_asked "$@"
# Before anything is installed or started.
rest=("$@")
while [ ${#rest[@]} -gt 0 ]; do
    case ${rest[0]} in
    --filter | --skip | --num-workers | -c | --configuration | --sanitize)
        need_value "${rest[0]}" ${#rest[@]}
        rest=("${rest[@]:1}")
        ;;
    --filter=* | --skip=* | --num-workers=* | --configuration=* | --sanitize=*) ;;
    --skip-build | --parallel | --no-parallel | -v | --verbose | -q | --quiet) ;;
    *) misuse "not understood: ${rest[0]}" ;;
    esac
    rest=("${rest[@]:1}")
done

need_swift
need_libraries
(need_tmux) || announce "SKIPPED: the tests of the full-screen chat, which need tmux"

database=$(mktemp -d "${TMPDIR:-/tmp}/converge-postgres.XXXXXX")
pooler=$(mktemp -d "${TMPDIR:-/tmp}/converge-pgbouncer.XXXXXX")
trap '"$root/scripts/throwaway_pgbouncer.sh" stop "$pooler"; "$root/scripts/throwaway_postgres.sh" stop "$database"' EXIT

# A node's own settings, where the caller has some, are not the tests'.
for name in $(compgen -e CONVERGE_); do unset "$name"; done
CONVERGE_TEST_POSTGRES=$("$root/scripts/throwaway_postgres.sh" start "$database")
export CONVERGE_TEST_POSTGRES
if CONVERGE_TEST_PGBOUNCER=$("$root/scripts/throwaway_pgbouncer.sh" start "$pooler" "$database"); then
    export CONVERGE_TEST_PGBOUNCER
else
    announce "SKIPPED: the tests through PgBouncer, which could not be installed or started"
fi
unset PORT

# What began and what passed is left out, but for the closing lines. A test's arguments may go over several lines.
closing_lines() {
    if [ -n "${VERBOSE:-}" ]; then exec cat; fi
    awk '/^(✘|↳|➜)/ { hidden = 0 }
        /^(◇|✔) / && !/ Test run / { hidden = !/( started\.| seconds\.)$/; next }
        hidden { hidden = !/( started\.| seconds\.)$/; next }
        { print; fflush() }'
}
run() { swift test --package-path "$root" --disable-xctest "$@" 2>&1 </dev/null | closing_lines; }
if [ $# -gt 0 ]; then
    run "$@"
else
    # Whole clusters keep every core busy, and the tests with real sockets have time limits: one after the other.
    run --skip ConvergeSimulationTests --skip 'ConvergeIntegrationTests\.ClusterTests'
    run --skip-build --filter ConvergeSimulationTests
    "$root/scripts/chaos.sh" --quick --skip-build
fi
