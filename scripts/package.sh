#!/usr/bin/env bash
# Makes a Debian package and a tarball for this machine's architecture, with the Swift runtime inside the program.
#
#   scripts/package.sh [--out DIR] [--check]
#
#       --out DIR   where to put them [.build/packages]
#       --check     then install the package in a clean root made by mmdebstrap, run it there and remove it again; the same
#                   with the tarball
#
# Two runs on one commit with one toolchain make the same bytes. Manual pages and completions come from the program's own
# help texts. What is needed is installed where it is missing (apt-get, as root or by sudo).
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
help_if_asked "$@"

out=$root/.build/packages
check=""
while [ $# -gt 0 ]; do
    case $1 in
    --check) check=yes ;;
    --out)
        need_value "$1" $#
        out=$2
        shift
        ;;
    *) misuse "not understood: $1" ;;
    esac
    shift
done

need_swift
need_libraries
command -v dpkg-deb >/dev/null || die "dpkg-deb is missing: packages are made on Debian and its relatives"
command -v dpkg-shlibdeps >/dev/null || install dpkg-dev

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# Files are as old as the commit that they are made of.
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git -C "$root" log -1 --format=%ct 2>/dev/null || date +%s)}
export SOURCE_DATE_EPOCH
export LC_ALL=C TZ=UTC

announce "building"
build=(swift build --package-path "$root" --scratch-path "$root/.build/package" -c release --product converge --static-swift-stdlib)
"${build[@]}" >&2
binary=$("${build[@]}" --show-bin-path)/converge
version=$(sed -nE 's/.*current = "([^"]+)".*/\1/p' "$root/Sources/Node/ConvergeVersion.swift")
[ -n "$version" ] || die "Sources/Node/ConvergeVersion.swift names no version"
[ "$("$binary" version)" = "converge $version" ] || die "the program does not call itself converge $version"
grep -q "^## \[$version\]" "$root/CHANGELOG.md" || die "CHANGELOG.md has no section [$version]"
architecture=$(dpkg --print-architecture)

# The tree of both: where the package puts it, below a prefix.
tree=$work/tree
put() { command install -D -m "$1" "$2" "$tree/$3"; }
make_to() { mkdir -p "$(dirname "$tree/$1")" && "${@:2}" >"$tree/$1" && chmod 644 "$tree/$1"; }
put 755 "$binary" usr/bin/converge
strip --strip-unneeded "$tree/usr/bin/converge"
put 644 "$root/packaging/converge.service" usr/lib/systemd/system/converge.service
put 640 "$root/packaging/converge.env" etc/converge/converge.env
commands=$("$binary" help | sed -nE 's/^  converge ([a-z]+).*/\1/p')
[ -n "$commands" ] || die "the overview of help lists no commands"
make_to usr/share/man/man1/converge.1 "$binary" help --man
for command in $commands; do make_to "usr/share/man/man1/converge-$command.1" "$binary" help --man "$command"; done
make_to usr/share/bash-completion/completions/converge "$binary" help --completions bash
make_to usr/share/zsh/vendor-completions/_converge "$binary" help --completions zsh
make_to usr/share/fish/vendor_completions.d/converge.fish "$binary" help --completions fish
put 644 "$root/LICENSE" usr/share/doc/converge/copyright
put 644 "$root/CHANGELOG.md" usr/share/doc/converge/changelog
put 644 "$root/README.md" usr/share/doc/converge/README.md
for page in "$root"/docs/*.md; do put 644 "$page" "usr/share/doc/converge/docs/$(basename "$page")"; done
for file in alerts.yml grafana-dashboard.json; do
    [ ! -e "$root/packaging/$file" ] || put 644 "$root/packaging/$file" "usr/share/doc/converge/examples/$file"
done

same_age() { find "$1" -exec touch --no-dereference --date "@$SOURCE_DATE_EPOCH" {} +; }
mkdir -p "$out"

# The tarball: to be unpacked anywhere, with a folder of its own.
name=converge-$version-linux-$architecture
mkdir "$work/$name"
cp -a "$tree/usr/bin" "$tree/usr/share" "$work/$name/"
command install -D -m 644 "$tree/usr/lib/systemd/system/converge.service" "$work/$name/lib/systemd/system/converge.service"
command install -D -m 644 "$tree/etc/converge/converge.env" "$work/$name/etc/converge.env"
same_age "$work/$name"
tar --sort=name --owner=0 --group=0 --numeric-owner --mtime="@$SOURCE_DATE_EPOCH" -C "$work" -c "$name" |
    gzip -9n >"$out/$name.tar.gz"

# The package.
gzip -9n "$tree"/usr/share/man/man1/*.1 "$tree/usr/share/doc/converge/changelog"
mkdir "$work/debian" "$tree/DEBIAN"
printf 'Source: converge\n' >"$work/debian/control"
# Which packages, of which versions, have the libraries that the program is linked to.
libraries=$(cd "$work" && dpkg-shlibdeps -O -e "$tree/usr/bin/converge" 2>/dev/null | sed -n 's/^shlibs:Depends=//p')
[ -n "$libraries" ] || die "dpkg-shlibdeps does not say what the program needs"
cat >"$tree/DEBIAN/control" <<CONTROL
Package: converge
Version: $version
Architecture: $architecture
Maintainer: Converge <converge@localhost>
Depends: $libraries, passwd
Recommends: ca-certificates
Section: net
Priority: optional
Installed-Size: $(du -sk --apparent-size --exclude DEBIAN "$tree" | cut -f 1)
Description: chat, presence and shared documents over WebSocket
 A server that keeps chat rooms, who is in them and shared documents, alone or as
 a cluster of nodes that replicate to each other; its client for the terminal.
CONTROL
echo /etc/converge/converge.env >"$tree/DEBIAN/conffiles"
for script in postinst prerm postrm; do put 755 "$root/packaging/debian/$script" "DEBIAN/$script"; done
(cd "$tree" && find usr -type f -print0 | sort -z | xargs -0 md5sum >DEBIAN/md5sums)
find "$tree" -type d -exec chmod 755 {} +
same_age "$tree"
package=$out/converge_${version}_$architecture.deb
dpkg-deb --root-owner-group -Zxz --build "$tree" "$package" >/dev/null
(cd "$out" && sha256sum "$(basename "$package")" "$name.tar.gz" >SHA256SUMS)
announce "made $package"
announce "made $out/$name.tar.gz"

[ -z "$check" ] || "$root/packaging/check.sh" "$package" "$out/$name.tar.gz"
