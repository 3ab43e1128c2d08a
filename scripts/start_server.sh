#!/usr/bin/env bash
# Builds a node for release and runs it: on :8080, with SQLite in converge.db.
#
#   scripts/start_server.sh [FLAGS]     the flags of `converge serve`, such as --port 9000
#
# Where no secret is set it runs with a development secret that everybody knows, and so on 127.0.0.1 alone unless a
# host is set. Ctrl-C (or SIGTERM) stops it gracefully.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
help_if_asked "$@"

need_swift
need_libraries
announce "building (a few minutes the first time)"
swift build --package-path "$root" -c release --product converge >&2
binary=$(swift build --package-path "$root" -c release --show-bin-path)/converge

# sets NAME…: whether one of these flags is among the arguments.
sets() {
    local flag word
    for flag in "$@"; do
        for word in "${arguments[@]}"; do
            case "$word" in "--$flag" | "--$flag="*) return 0 ;; esac
        done
    done
    return 1
}
arguments=("$@")

if [ -z "${CONVERGE_JWT_SECRET:-}" ] && [ -z "${CONVERGE_JWT_SECRET_FILE:-}" ] && ! sets jwt-secret-file; then
    export CONVERGE_JWT_SECRET="converge-development-secret-not-for-production"
    announce "NOT FOR PRODUCTION: nothing set CONVERGE_JWT_SECRET, so this node runs with the development secret"
    announce "    $CONVERGE_JWT_SECRET"
    announce "which everybody can read in this script. Anybody who reaches the port can be any user."
    if [ -z "${CONVERGE_HOST:-}" ] && [ -z "${CONVERGE_ADDR:-}" ] && ! sets host addr; then
        export CONVERGE_HOST=127.0.0.1
        announce "So it listens on 127.0.0.1 alone. To open it to other machines, give it a secret of its own:"
        announce "    CONVERGE_JWT_SECRET=\$($binary secret) $0"
        announce "or, where everybody who can reach this machine may be anybody, set CONVERGE_HOST=0.0.0.0"
    fi
    announce "To connect, in another terminal: ./scripts/demo_client.sh ann Ann"
fi
# The node takes this process's place, so that signals reach it.
exec "$binary" serve "$@"
