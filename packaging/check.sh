#!/usr/bin/env bash
# Installs a package in a clean root, runs a node and a client there, and removes it again; the same with the tarball.
#
#   packaging/check.sh PACKAGE.deb TARBALL.tar.gz
#
# The root is a minimal Debian of this machine's release, made by mmdebstrap from this machine's own package sources, and
# is deleted afterwards. Needs root, or user namespaces for mmdebstrap.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/../scripts/lib.sh"

help_if_asked "$@"
[ $# = 2 ] && [ -f "$1" ] && [ -f "$2" ] || misuse "a package and a tarball are wanted"
package=$1
tarball=$2
command -v mmdebstrap >/dev/null || install mmdebstrap

. /etc/os-release
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cp "$package" "$work/converge.deb"
cp "$tarball" "$work/converge.tar.gz"
cat >"$work/inside.sh" <<'INSIDE'
# Runs within the clean root, as root.
set -euo pipefail
pid=""
# Nothing that was started here may outlive this, or mmdebstrap would wait for it.
trap '[ -z "$pid" ] || kill -KILL "$pid" 2>/dev/null || true' EXIT
die() { echo "check: $*" >&2; exit 1; }
say() { echo "check: $*" >&2; }
export DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8
! command -v converge >/dev/null || die "this root is not clean"

# node BINARY: starts it as the service's user with the package's settings, talks to it and stops it.
node() {
    local binary=$1 answer="" port=18080
    [ "$(stat -c '%a %U:%G' /etc/converge)" = "750 root:converge" ] || die "/etc/converge is open to others"
    [ "$(stat -c '%a %U:%G' /etc/converge/jwt-secret)" = "640 root:converge" ] || die "the secret is open to others"
    [ "$(wc -c </etc/converge/jwt-secret)" = 44 ] || die "there is no secret"
    ! setpriv --reuid=nobody --regid=nogroup --clear-groups cat /etc/converge/jwt-secret 2>/dev/null || die "anybody reads the secret"
    # In a subshell of its own, which becomes the command.
    as_service() {
        set -a
        . /etc/converge/converge.env
        PORT=$port
        set +a
        cd /var/lib/converge
        exec setpriv --reuid=converge --regid=converge --clear-groups "$@"
    }
    (as_service "$binary" serve --check) >/dev/null || die "serve --check refuses the package's settings"
    as_service "$binary" serve 2>/tmp/node.log &
    pid=$!
    for _ in $(seq 200); do
        if answer=$(as_service "$binary" status "http://127.0.0.1:$port" 2>/dev/null); then break; fi
        kill -0 "$pid" 2>/dev/null || { cat /tmp/node.log >&2; die "the node ended"; }
        sleep 0.05
    done
    [ -n "$answer" ] || { cat /tmp/node.log >&2; die "the node is not ready after 10 s"; }
    CONVERGE_TOKEN=$(as_service "$binary" token ann Ann)
    export CONVERGE_TOKEN
    for _ in 1 2; do
        printf 'hello from the clean root\n/history\n' | "$binary" chat --server "ws://127.0.0.1:$port" >/tmp/chat.out
    done
    grep -q 'Ann: hello from the clean root' /tmp/chat.out || { cat /tmp/chat.out >&2; die "the message is not in history"; }
    [ -z "$(find /var/lib/converge -type f ! -perm 600)" ] || { ls -l /var/lib/converge >&2; die "data are open to others"; }
    kill -TERM "$pid"
    wait "$pid" || die "the node did not stop cleanly"
    pid=""
}

say "the package"
apt-get install -y --no-install-recommends /converge.deb >/tmp/apt.log 2>&1 || { cat /tmp/apt.log >&2; die "it does not install"; }
command -v converge >/dev/null || die "there is no converge on the PATH"
missing=$(ldd "$(command -v converge)" | grep -E 'not found|/opt|swift') && die "libraries are missing: $missing"
node converge
before=$(cat /etc/converge/jwt-secret)
dpkg -i /converge.deb >/dev/null 2>&1 || die "it can't be installed again"
[ "$before" = "$(cat /etc/converge/jwt-secret)" ] || die "installing again changed the secret"
dpkg --verify converge | grep -v ' c ' && die "files of the package were changed"

say "completions"
words=$(bash -c '. /usr/share/bash-completion/completions/converge; COMP_WORDS=(converge sta); COMP_CWORD=1; _converge; echo "${COMPREPLY[@]}"')
[ "$words" = status ] || die "bash completes sta as '$words'"
words=$(bash -c '. /usr/share/bash-completion/completions/converge; COMP_WORDS=(converge serve --hist); COMP_CWORD=2; _converge; echo "${COMPREPLY[@]}"')
[ "$words" = --history-limit ] || die "bash completes serve --hist as '$words'"
apt-get install -y --no-install-recommends zsh fish man-db >/tmp/apt.log 2>&1 || { cat /tmp/apt.log >&2; die "no zsh, fish and man"; }
zsh -n /usr/share/zsh/vendor-completions/_converge
words=$(fish -c 'source /usr/share/fish/vendor_completions.d/converge.fish; complete -C "converge sta"' | cut -f 1)
[ "$words" = status ] || die "fish completes sta as '$words'"
words=$(fish -c 'source /usr/share/fish/vendor_completions.d/converge.fish; complete -C "converge serve --hist"' | cut -f 1)
[ "$words" = --history-limit ] || die "fish completes serve --hist as '$words'"
words=$(fish -c 'source /usr/share/fish/vendor_completions.d/converge.fish; complete -C "converge chat --hist"' | cut -f 1)
[ -z "$words" ] || die "fish completes chat --hist as '$words'"

say "removing it"
apt-get remove -y converge >/tmp/apt.log 2>&1 || { cat /tmp/apt.log >&2; die "it can't be removed"; }
! command -v converge >/dev/null || die "the program is still there"
[ -s /var/lib/converge/converge.db ] || die "removing took the messages"
[ -s /etc/converge/jwt-secret ] || die "removing took the secret"

say "the tarball"
mkdir /opt/converge && tar -xzf /converge.tar.gz -C /opt/converge --strip-components 1
# Its libraries, which the package's removal leaves until autoremove.
node /opt/converge/bin/converge
rm -rf /opt/converge

say "purging it"
apt-get purge -y --autoremove converge >/tmp/apt.log 2>&1 || { cat /tmp/apt.log >&2; die "it can't be purged"; }
for left in /etc/converge /var/lib/converge /usr/share/doc/converge /usr/lib/systemd/system/converge.service; do
    [ ! -e "$left" ] || die "purging left $left"
done
! getent passwd converge >/dev/null || die "purging left the user"
say "passed"
INSIDE

announce "making a clean root of $VERSION_CODENAME"
mode=auto
[ "$(id -u)" != 0 ] || mode=root
# The network of the root is the machine's: the node in it listens on loopback.
mmdebstrap --quiet --mode="$mode" --variant=minbase \
    --customize-hook="copy-in $work/converge.deb $work/converge.tar.gz $work/inside.sh /" \
    --customize-hook='chroot "$1" bash /inside.sh' \
    "$VERSION_CODENAME" /dev/null
