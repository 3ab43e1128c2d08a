#!/usr/bin/env bash
# Connects a terminal client to a running node:  scripts/demo_client.sh [user] [name] [url]
# The token is made with the development secret that scripts/start_server.sh announces, or with CONVERGE_JWT_SECRET.
set -euo pipefail

case "${1:-}" in
-h | --help)
    echo "usage: scripts/demo_client.sh [user] [name] [url]"
    echo "  user  who you are            [${USER:-demo}]"
    echo "  name  what others see        [the user]"
    echo "  url   where the node is      [ws://127.0.0.1:\$PORT, port 8080]"
    echo "CONVERGE_ROOM names the room   [lobby]"
    exit 0
    ;;
esac
if [ $# -gt 3 ]; then
    echo "usage: scripts/demo_client.sh [user] [name] [url]" >&2
    exit 2
fi

user="${1:-${USER:-demo}}"
name="${2:-$user}"
url="${3:-ws://127.0.0.1:${PORT:-8080}}"
export CONVERGE_JWT_SECRET="${CONVERGE_JWT_SECRET:-converge-development-secret-not-for-production}"

cd "$(dirname "$0")/.."
binary=.build/release/converge
newer() { find Package.swift Sources -newer "$binary" -type f -print -quit | grep -q .; }
if [ ! -x "$binary" ] || newer; then
    if ! command -v swift >/dev/null; then
        echo "demo_client.sh: no Swift toolchain is found: install Swift 6.1 or later from https://swift.org/install" >&2
        exit 1
    fi
    echo "Building (this takes a minute or two the first time) ..." >&2
    swift build -c release --product converge >&2
fi

# In the environment, not in the arguments: those show in ps.
CONVERGE_TOKEN="$("$binary" token --expires 24h -- "$user" "$name")"
export CONVERGE_TOKEN
unset CONVERGE_JWT_SECRET
exec "$binary" chat --server "$url" --room "${CONVERGE_ROOM:-lobby}"
