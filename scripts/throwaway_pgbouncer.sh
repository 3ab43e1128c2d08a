#!/usr/bin/env bash
# A real PgBouncer for tests, in transaction mode, before a PostgreSQL that throwaway_postgres.sh has started.
#
#   scripts/throwaway_pgbouncer.sh start DIR SERVER_DIR   starts it in DIR (new or empty) before the server in SERVER_DIR and
#                                                         prints its DSN, and nothing else, on stdout
#   scripts/throwaway_pgbouncer.sh stop DIR               ends it and removes DIR
#
# Every database of the server can be reached through it, on the loopback interface only. Debian's package `pgbouncer` is
# installed where there is none.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

help_if_asked "$@"

find_program() { command -v pgbouncer || ls /usr/sbin/pgbouncer 2>/dev/null || true; }

start() {
    local dir=$1 server=$2
    [ -f "$server/dsn" ] || die "$server has no server that throwaway_postgres.sh started"
    if [ -e "$dir" ] && [ -n "$(ls -A "$dir")" ]; then die "$dir is not empty"; fi
    if [ -z "$(find_program)" ]; then
        # The package would start a pooler of its own where there is a service manager.
        install pgbouncer
        ! [ -d /run/systemd/system ] || as_root systemctl disable --now pgbouncer >/dev/null 2>&1 || true
    fi
    local program
    program=$(find_program)
    [ -n "$program" ] || die "there is no pgbouncer"
    mkdir -p "$dir"
    chmod 700 "$dir"
    (umask 077 && echo "\"converge\" \"$(cat "$server/password")\"" >"$dir/users")
    # It refuses to run as root, like the server.
    local as_user=()
    if [ "$(id -u)" = 0 ]; then as_user=(setpriv --reuid=postgres --regid=postgres --init-groups --reset-env --); fi
    local port
    for _ in $(seq 20); do
        port=$(free_port)
        cat >"$dir/pgbouncer.ini" <<CONF
[databases]
* = host=127.0.0.1 port=$(cat "$server/port")
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = $port
unix_socket_dir =
auth_type = scram-sha-256
auth_file = $dir/users
pool_mode = transaction
default_pool_size = 20
max_client_conn = 500
server_idle_timeout = 2
CONF
        if [ "$(id -u)" = 0 ]; then chown -R postgres: "$dir"; fi
        # Nothing of the caller's is left open in the background: a pipe's reader would wait for its end.
        (
            cd /
            for open in /proc/self/fd/*; do
                open=${open##*/}
                if [ "$open" -gt 2 ]; then eval "exec $open>&-"; fi
            done
            exec "${as_user[@]}" setsid "$program" "$dir/pgbouncer.ini"
        ) >>"$dir/log" 2>&1 </dev/null &
        local pid=$!
        if await_port "$port" "$pid"; then
            echo "$pid" >"$dir/pid"
            sed -E "s|@127\.0\.0\.1:[0-9]+/|@127.0.0.1:$port/|" "$server/dsn"
            return
        fi
        kill "$pid" 2>/dev/null || true
    done
    cat "$dir/log" >&2
    die "pgbouncer did not start"
}

stop() {
    local dir=$1 pid
    [ -e "$dir" ] || return 0
    [ -f "$dir/pgbouncer.ini" ] || [ -z "$(ls -A "$dir")" ] || die "$dir was not made by this script"
    pid=$(cat "$dir/pid" 2>/dev/null || true)
    if [ -n "$pid" ] && [ "$(cat "/proc/$pid/comm" 2>/dev/null)" = pgbouncer ]; then kill -KILL "$pid" 2>/dev/null || true; fi
    rm -rf "$dir"
}

# absolute PATH
absolute() { case $1 in /*) echo "$1" ;; *) echo "$PWD/$1" ;; esac }

case "${1:-}:$#" in
start:3) start "$(absolute "$2")" "$(absolute "$3")" ;;
stop:2) stop "$(absolute "$2")" ;;
*) misuse "start with two folders, or stop with one" ;;
esac
