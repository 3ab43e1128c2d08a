#!/usr/bin/env bash
# Writes Sources/Terminal/Text/WideRanges.swift from Unicode's EastAsianWidth.txt (Debian has it in its package unicode-data).
#
#   scripts/width_table.sh [/usr/share/unicode/EastAsianWidth.txt]
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
help_if_asked "$@"
no_flags "$@"
[ $# -le 1 ] || misuse "one file, no more"
file=${1:-/usr/share/unicode/EastAsianWidth.txt}
[ -r "$file" ] || die "there is no $file: install Debian's package unicode-data, or name the file"
version=$(sed -nE '1s/.*EastAsianWidth-([0-9.]+)\.txt.*/\1/p' "$file")
[ -n "$version" ] || die "$file is not Unicode's EastAsianWidth.txt"
# Whole or not at all: the sources would not build with half of it.
table=$root/Sources/Terminal/Text/WideRanges.swift
trap 'rm -f "$table.new"' EXIT
{
    cat <<SWIFT
/// The code points that take two columns: East Asian Width W or F (Unicode Standard Annex 11).
///
/// Made by scripts/width_table.sh from EastAsianWidth.txt of the Unicode Character Database, version $version. Code
/// points without a character are in it where that file gives them W by default (the planes of ideographs).
enum WideRanges {
    /// First and last of each range, ascending: \`bounds[2n]...bounds[2n + 1]\`.
    static let bounds: [UInt32] = [
SWIFT
    awk -F'[;# ]+' '
        function number(hex,   i, n) { n = 0; for (i = 1; i <= length(hex); i++) n = n * 16 + index("0123456789ABCDEF", substr(hex, i, 1)) - 1; return n }
        function out() { if (first >= 0) printf "%X %X\n", first, last }
        BEGIN { first = -1 }
        /^[0-9A-F]/ && ($2 == "W" || $2 == "F") {
            split($1, ends, /\.\./)
            from = number(ends[1]); to = ends[2] == "" ? from : number(ends[2])
            if (first >= 0 && from == last + 1) { last = to; next }
            out(); first = from; last = to
        }
        END { out() }' "$file" |
        awk '{ item = "0x" $1 ", 0x" $2 ","
               if (length(line) + length(item) + 9 > 118) { print "        " line; line = "" }
               line = line (line == "" ? "" : " ") item }
             END { print "        " line }'
    cat <<SWIFT
    ]

    /// Binary search: some seven comparisons.
    static func contains(_ scalar: Unicode.Scalar) -> Bool {
        let value = scalar.value
        guard value >= 0x1100 else { return false }
        var low = 0
        var high = bounds.count / 2
        while low < high {
            let middle = (low + high) / 2
            if value > bounds[2 * middle + 1] { low = middle + 1 } else { high = middle }
        }
        return low < bounds.count / 2 && value >= bounds[2 * low]
    }
}
SWIFT
} >"$table.new"
mv "$table.new" "$table"
