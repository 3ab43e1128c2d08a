#!/usr/bin/env bash
# A real PostgreSQL for tests: its own data folder, its own free port, gone afterwards.
#
#   scripts/throwaway_postgres.sh start DIR   starts it in DIR (new or empty) and prints its DSN, and nothing else, on
#                                             stdout; a DIR that `halt` left starts again on the same port
#   scripts/throwaway_postgres.sh halt DIR    ends the server and keeps the data
#   scripts/throwaway_postgres.sh stop DIR    ends the server and removes DIR
#
# It listens on the loopback interface only and asks for a random password (scram). Nothing in it survives a crash of
# the machine: fsync is off. Debian's package `postgresql` is installed where there is no initdb.
set -euo pipefail

say() { echo "throwaway_postgres: $*" >&2; }
die() { say "$*"; exit 1; }

usage() { sed -n '2,/^[^#]/p' "$0" | sed -n 's/^# \{0,1\}//p'; }
misuse() { usage >&2; exit 2; }
for word; do
    case $word in -h | --help) usage && exit 0 ;; esac
done
case "${1:-}:$#" in start:2 | halt:2 | stop:2) ;; *) misuse ;; esac
verb=$1
dir=$2
case $dir in /*) ;; *) dir=$PWD/$dir ;; esac

# The server's programs: the newest version that is installed, else the package.
find_programs() {
    local found
    found=$(ls -d /usr/lib/postgresql/*/bin/initdb 2>/dev/null | sort -V | tail -n 1 || true)
    if [ -z "$found" ]; then found=$(command -v initdb || true); fi
    if [ -n "$found" ]; then dirname "$found"; fi
}

bin=$(find_programs)
if [ -z "$bin" ] && [ "$verb" = start ]; then
    command -v apt-get >/dev/null || die "PostgreSQL's server is missing (no initdb): install it with this system's package tool"
    root=""
    if [ "$(id -u)" != 0 ]; then
        command -v sudo >/dev/null || die "PostgreSQL's server is missing: as root, run: apt-get install postgresql"
        root=sudo
    fi
    say "installing Debian's package postgresql"
    # Debian starts a cluster of its own with the package, unless told otherwise.
    $root mkdir -p /etc/postgresql-common
    [ -e /etc/postgresql-common/createcluster.conf ] ||
        echo "create_main_cluster = false" | $root tee /etc/postgresql-common/createcluster.conf >/dev/null
    { $root apt-get update && $root env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends postgresql; } >&2 ||
        die "apt-get could not install postgresql"
    bin=$(find_programs)
fi
[ -n "$bin" ] || die "no initdb under /usr/lib/postgresql"

# The server refuses to run as root, so root hands it to the user that the package made.
as_server=(env LC_ALL=C.UTF-8)
if [ "$(id -u)" = 0 ]; then
    as_server=(setpriv --reuid=postgres --regid=postgres --init-groups --reset-env -- env LC_ALL=C.UTF-8)
fi

postmaster() { head -n 1 "$dir/data/postmaster.pid" 2>/dev/null || true; }

end_server() {
    local pid
    pid=$(postmaster)
    [ -n "$pid" ] || return 0
    kill -"$1" "$pid" 2>/dev/null || return 0
    for _ in $(seq 200); do
        kill -0 "$pid" 2>/dev/null || return 0
        sleep 0.05
    done
    kill -KILL "$pid" 2>/dev/null || true
}

# Runs the server on $1; false where something else has the port.
launch() {
    local port=$1
    # Nothing of the caller's is left open in the background: a pipe's reader or a lock's waiter would wait for its end.
    (
        cd /
        for open in /proc/self/fd/*; do
            open=${open##*/}
            if [ "$open" -gt 2 ]; then eval "exec $open>&-"; fi
        done
        exec "${as_server[@]}" setsid "$bin/postgres" -D "$dir/data" -p "$port"
    ) >>"$dir/log" 2>&1 </dev/null &
    for _ in $(seq 400); do
        if "$bin/pg_isready" -q -h 127.0.0.1 -p "$port" -t 1 && [ -n "$(postmaster)" ]; then return 0; fi
        if grep -qE "could not (bind|create any)|FATAL" "$dir/log"; then
            grep -q "the database system is starting up" "$dir/log" || return 1
        fi
        sleep 0.025
    done
    return 1
}

start() {
    if [ -f "$dir/dsn" ]; then
        : >"$dir/log"
        launch "$(cat "$dir/port")" || { cat "$dir/log" >&2; die "the server did not start again"; }
        cat "$dir/dsn"
        return
    fi
    if [ -e "$dir" ] && [ -n "$(ls -A "$dir")" ]; then die "$dir is not empty"; fi
    mkdir -p "$dir"
    chmod 700 "$dir"
    local password
    password=$(od -An -N 18 -tx1 /dev/urandom | tr -d ' \n')
    (umask 077 && echo "$password" >"$dir/password")
    : >"$dir/log"
    if [ "$(id -u)" = 0 ]; then
        id postgres >/dev/null 2>&1 || die "run as root, but there is no user postgres to run the server"
        chown -R postgres: "$dir"
        "${as_server[@]}" test -x "$dir" || die "the user postgres can't reach $dir: choose a folder whose parents it may enter"
    fi
    (cd / && "${as_server[@]}" "$bin/initdb" -D "$dir/data" -U converge --pwfile="$dir/password" -A scram-sha-256 -E UTF8 \
        --locale=C --no-sync >"$dir/initdb.log" 2>&1) || { cat "$dir/initdb.log" >&2; die "initdb failed"; }
    cat >>"$dir/data/postgresql.conf" <<CONF
listen_addresses = '127.0.0.1'
unix_socket_directories = ''
fsync = off
full_page_writes = off
shared_buffers = 64MB
max_connections = 200
autovacuum_naptime = 1h
timezone = 'UTC'
CONF
    local port
    for _ in $(seq 20); do
        port=$((20000 + $(od -An -N 2 -tu2 /dev/urandom) % 12000))
        : >"$dir/log"
        if launch "$port"; then
            echo "$port" >"$dir/port"
            (umask 077 && echo "postgresql://converge:$password@127.0.0.1:$port/postgres" >"$dir/dsn")
            cat "$dir/dsn"
            return
        fi
        end_server QUIT
    done
    cat "$dir/log" >&2
    die "the server did not start"
}

case $verb in
start) start ;;
halt) end_server INT ;;
stop)
    end_server QUIT
    [ ! -d "$dir" ] || [ -f "$dir/log" ] || [ -z "$(ls -A "$dir")" ] || die "$dir was not made by this script"
    rm -rf "$dir"
    ;;
esac
