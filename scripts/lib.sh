# Sourced by the other scripts, not run: what this machine must have before anything can be built.
#
#   need_swift       ends with clear words unless there is a Swift toolchain that is new enough
#   need_libraries   installs the three system libraries' headers where they are missing (apt-get, as root or by sudo)
#   need_tmux        installs tmux where it is missing: the terminal of the tests of the full-screen chat
#   find_promtool    says where promtool is; where it is missing, unpacks Debian's into the cache
#   announce TEXT    a line on standard error
#   help_if_asked "$@"   prints the comment at the top of the script, and nothing else happens, where -h or --help is asked for
#   no_flags "$@"    for those that have none
#   misuse TEXT      says what was not understood, and how the script is used, and ends with 2

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
swift_wanted="6.1"
swift_tried="6.3.1"

announce() { echo "$(basename "$0"): $*" >&2; }
die() {
    announce "$*"
    exit 1
}

# usage: the comment at the top of the script that runs.
usage() { sed -n '2,/^[^#]/p' "$0" | sed -n 's/^# \{0,1\}//p'; }

# help_if_asked "$@": before anything else is done. What stands behind -- is not the script's.
help_if_asked() {
    local word
    for word; do
        case $word in
        -h | --help)
            usage
            exit 0
            ;;
        --) return ;;
        esac
    done
}

misuse() {
    announce "$*"
    usage >&2
    exit 2
}

# no_flags "$@": ends the script where one of the words looks like a flag.
no_flags() {
    local word
    for word; do
        case $word in -?*) misuse "there is no flag $word" ;; esac
    done
}

# need_value FLAG COUNT: ends the script where a flag is the last word. COUNT is that of the words from it on.
need_value() { [ "$2" -ge 2 ] || misuse "$1 needs a value"; }

need_swift() {
    if ! command -v swift >/dev/null; then
        announce "there is no Swift toolchain on the PATH"
        die "install Swift $swift_wanted or newer (tried with $swift_tried), as the install page of swift.org describes, and try again"
    fi
    local version
    version=$(swift --version 2>/dev/null | sed -nE 's/.*Swift version ([0-9]+(\.[0-9]+)+).*/\1/p' | head -n 1)
    [ -n "$version" ] || die "'swift --version' does not work: mend the toolchain (Swift $swift_wanted or newer) and try again"
    if [ "$(printf '%s\n%s\n' "$swift_wanted" "$version" | sort -V | head -n 1)" != "$swift_wanted" ]; then
        die "this is Swift $version; needed is $swift_wanted or newer (tried with $swift_tried): see the install page of swift.org"
    fi
}

# as_root COMMAND…: runs it as root; false where that can't be.
as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo "$@"
    else
        return 1
    fi
}

# install PACKAGE…: the system's own packages.
install() {
    if ! command -v apt-get >/dev/null; then
        die "missing: $* (so Debian calls them). Install what they hold with this system's package tool and try again"
    fi
    announce "installing $*"
    # Quiet unless it fails; a list of packages that is too old to install from is renewed first.
    local log
    log=$(mktemp)
    if ! { as_root apt-get update && as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y --no-install-recommends "$@"; } >"$log" 2>&1 </dev/null; then
        tail -n 5 "$log" >&2
        rm -f "$log"
        die "could not install them; as root, run: apt-get update && apt-get install $*"
    fi
    rm -f "$log"
}

# Whether the compiler's search path or pkg-config knows a header: not all systems have it from a package.
has_library() {
    local header=$1 module=$2
    [ -e "/usr/include/$header" ] || { command -v pkg-config >/dev/null && pkg-config --exists "$module"; }
}

need_libraries() {
    local missing=()
    # SwiftPM asks pkg-config where the headers are: Debian keeps PostgreSQL's in a folder of their own.
    command -v pkg-config >/dev/null || missing+=(pkg-config)
    has_library sqlite3.h sqlite3 || missing+=(libsqlite3-dev)
    has_library postgresql/libpq-fe.h libpq || missing+=(libpq-dev)
    has_library openssl/ssl.h openssl || missing+=(libssl-dev)
    [ ${#missing[@]} -eq 0 ] || install "${missing[@]}"
}

need_tmux() { command -v tmux >/dev/null || install tmux; }

find_promtool() {
    command -v promtool && return
    local cache=${XDG_CACHE_HOME:-$HOME/.cache}/converge-promtool
    if [ ! -x "$cache/usr/bin/promtool" ]; then
        command -v apt-get >/dev/null || die "promtool is missing: it comes with Prometheus"
        announce "unpacking promtool into $cache"
        local work
        work=$(mktemp -d)
        if ! (cd "$work" && { apt-get download prometheus || { as_root apt-get update && apt-get download prometheus; }; }) \
            >"$work/log" 2>&1 </dev/null; then
            tail -n 5 "$work/log" >&2
            rm -rf "$work"
            die "the package prometheus could not be fetched"
        fi
        mkdir -p "$cache"
        dpkg-deb -x "$work"/prometheus_*.deb "$cache"
        rm -rf "$work"
    fi
    echo "$cache/usr/bin/promtool"
}

# is_free PORT: whether nothing on this machine listens on it right now.
is_free() { ! (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# free_port: a TCP port that nothing listens on right now. Below those that the kernel gives to outgoing connections.
free_port() { free_ports 1; }

# free_ports COUNT: the first of so many free ones in a row.
free_ports() {
    local first port
    for _ in $(seq 50); do
        first=$((20000 + RANDOM % (12000 - $1)))
        for ((port = first; port < first + $1; port++)); do is_free "$port" || continue 2; done
        echo "$first"
        return
    done
    die "no $1 free ports in a row were found"
}

# await_port PORT PID: until PORT answers; false where the process ended first or 20 s are over.
await_port() {
    for _ in $(seq 400); do
        kill -0 "$2" 2>/dev/null || return 1
        (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null && return 0
        sleep 0.05
    done
    return 1
}
