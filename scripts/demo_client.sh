#!/usr/bin/env bash
# Connects a terminal client to a running node.
#
#   scripts/demo_client.sh [USER [NAME [URL]]]
#
#   USER   who you are            [your login, or demo]
#   NAME   what others see        [the user]
#   URL    where the node is      [ws://127.0.0.1:PORT, where PORT is that of the environment, or 8080]
#
# CONVERGE_ROOM names the room [lobby]. The token is made with the development secret that scripts/start_server.sh
# announces, or with CONVERGE_JWT_SECRET.
set -euo pipefail

. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
help_if_asked "$@"
if [ "${1:-}" = -- ]; then shift; else no_flags "$@"; fi
[ $# -le 3 ] || misuse "a user, a name and a server's address, no more"

user="${1:-${USER:-demo}}"
name="${2:-$user}"
url="${3:-ws://127.0.0.1:${PORT:-8080}}"
export CONVERGE_JWT_SECRET="${CONVERGE_JWT_SECRET:-converge-development-secret-not-for-production}"

cd "$(dirname "$0")/.."
binary=.build/release/converge
newer() { find Package.swift Sources -newer "$binary" -type f -print -quit | grep -q .; }
if [ ! -x "$binary" ] || newer; then
    need_swift
    announce "building (a minute or two the first time)"
    swift build -c release --product converge >&2
fi

# In the environment, not in the arguments: those show in ps.
CONVERGE_TOKEN="$("$binary" token --expires 24h -- "$user" "$name")"
export CONVERGE_TOKEN
unset CONVERGE_JWT_SECRET
exec "$binary" chat --server "$url" --room "${CONVERGE_ROOM:-lobby}"
