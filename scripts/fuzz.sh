#!/usr/bin/env bash
# Feeds random bytes to each parser of foreign input and ends with 1 when one of them traps, hangs or breaks its word.
#
#   scripts/fuzz.sh [TARGET|all] [SECONDS]     targets: http websocket json jwt entry peer; 60 seconds each unless said
#
# The targets are in Tests/Fuzz; libFuzzer comes with the Swift toolchain. They are built with the optimizer, for speed,
# and with the standard library's debug checks, so that a pointer that is read past its end traps.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
help_if_asked "$@"
[ $# -le 2 ] || misuse "a target and a number of seconds, no more"
cd "$root"

target="${1:-all}"
seconds="${2:-60}"
case "$target" in
all) targets=(http websocket json jwt entry peer) ;;
http | websocket | json | jwt | entry | peer) targets=("$target") ;;
*)
    misuse "there is no target '$target'"
    ;;
esac
[[ "$seconds" =~ ^[1-9][0-9]*$ ]] || misuse "'$seconds' is not a number of seconds"
declare -A source=(
    [http]=HTTPFuzz [websocket]=WebSocketFuzz [json]=JSONFuzz [jwt]=JWTFuzz [entry]=EntryFuzz [peer]=PeerFuzz
)

work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT

flags=(-O -wmo -parse-as-library -package-name converge -swift-version 6 -sanitize=fuzzer -assert-config Debug -I "$work")
# module NAME FOLDER: compiles a folder of sources to NAME.o and NAME.swiftmodule
module() {
    local files
    mapfile -t files < <(find "Sources/$2" -name '*.swift' | sort)
    swiftc "${flags[@]}" -module-name "$1" -emit-module -emit-module-path "$work/$1.swiftmodule" \
        -emit-object -o "$work/$1.o" "${files[@]}"
}
module ConvergeCRDT CRDT
module ConvergeWire Wire

# seed TARGET TEXT…: each text, with printf's escapes, begins the corpus
seed() {
    local folder="$work/corpus-$1" count=0
    shift
    for text in "$@"; do
        count=$((count + 1))
        printf '%b' "$text" >"$folder/seed-$count"
    done
}
seeds() {
    case "$1" in
    http)
        seed http 'GET /ws?room=a%20b HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n' \
            'GET /health HTTP/1.0\r\n\r\n' \
            'POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\nabc'
        ;;
    websocket)
        seed websocket '\x04\x81\x85\x00\x00\x00\x00hello' '\x05\x01\x02he\x89\x01p\x80\x03llo' \
            '\x04\x88\x82\x00\x00\x00\x00\x03\xe8' '\x06\x82\xfe\x00\x80\x01\x02\x03\x04'
        ;;
    json)
        seed json '{"type":"message","room":"dev","body":"a\\\\n\\\\u00e9\\\\ud83d\\\\ude00","ref":"1","key":"k"}' \
            '{"type":"history","limit":-5,"before":"018f3c5a1b2c000000000000deadbeef23e8"}' \
            '{"type":"users","detail":true,"x":[1.5e3,null,{"y":[]}]}' \
            '{"body":null,"type":"crdt_lww_set","doc":"d","after":"018f3c5a1b2c000000000000deadbeef23e8","copies":2}' \
            '{"type":"subscribe","room":"dev","cursor":{"00000000000000ab":5},"member":false,"ref":"1"}' \
            '{"type":"auth","token":"eyJhbGciOiJIUzI1NiJ9.e30.x"}' \
            '{"type":"crdt_orset_add","body":"milk"}'
        ;;
    jwt)
        seed jwt '{"alg":"HS256","typ":"JWT"}\n{"sub":"u","name":"Ann","exp":1800000000.5,"nbf":1,"iss":"i","aud":["a"]}' \
            '{"alg":"HS256"}\n{"user_id":"u","display_name":" d ","aud":"a"}' \
            'eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIiwibmFtZSI6IkpvaG4gRG9lIn0.SflKxwRJSMeKKF2QT4fwpMeJf36POk6yJV_adQssw5c'
        ;;
    entry)
        seed entry '\x01\x00\x01u\x03Ann\x02hi' '\x01\x00\x01\x01u\x03Ann' \
            '\x01\x01\x01d\x01u\x01n\x01x\x01\x01\x02\x03\x04\x05\x06\x07\x08\x09' '\x01\x04\x01d\x01u\x01n' \
            '\x01\x00\x00\x01\x01\x02\x03\x04\x05\x06\x07\x08\x11\x12\x13\x14\x15\x16\x17\x18\x05\x00\x03dev' \
            '018f3c5a1b2c000000000000deadbeef23e8' '2026-11-22T18:20:28.123+01:00'
        ;;
    peer)
        # One frame of each kind as the tests have them, and a link's first bytes.
        seed peer '\x01\x01\x02\x01\x63\x00\xa1\xa2\xa3\xa4\xa5\xa6\xa7\xa8\x03\x00\x00\x00\x00\x00\x00\x11\x22\x01\x6e\x03\x68\x3a\x31\xac\x02\x04' \
            '\x02\x05' \
            '\x08\x01\x00\xa1\xa2\xa3\xa4\xa5\xa6\xa7\xa8\x03\x02\x00\xb1\xb2\xb3\xb4\xb5\xb6\xb7\xb8\x03\x68\x3a\x31\x01\x6e' \
            '\x09\x01\x00\xb1\xb2\xb3\xb4\xb5\xb6\xb7\xb8\x00\xa1\xa2\xa3\xa4\xa5\xa6\xa7\xa8\x03\x02\x01\x03\x68\x3a\x31\x01\x6e' \
            '\x0b\x00' \
            '\x10\x01\x44\x00\xa1\xa2\xa3\xa4\xa5\xa6\xa7\xa8\xac\x02\x80\x01\x01\x00\xb1\xb2\xb3\xb4\xb5\xb6\xb7\xb8\x05\x04\x64\x65\x76\x00\x11\x22\x33\x44\x55\x66\x77\x88\x99\xaa\xbb\xcc\xdd\xee\xff\x03\x01\x02\x03\xca\x01\x00\x00\x11\x22\x33\x44\x55\x66\x77\x88\x99\xaa\xbb\xcc\xdd\xee\xff\x00\x10\x01\x02\x40\x09\x02\x06\x00\x03\xc3\xa9\x00\x11\x22\x33\x44\x55\x66\x77\x88\x99\xaa\xbb\xcc\xdd\xee\xff\x00\x81\x08\x00\x00\x00\x11\x22\x33\x44\x55\x66\x77\x88\x99\xaa\xbb\xcc\xdd\xee\xff\x00' \
            '\x11\x7f\x80\x01' \
            '\x12\x02\x00\xa1\xa2\xa3\xa4\xa5\xa6\xa7\xa8\x07\x00\x11\x22\x33\x44\x55\x66\x77\x00\xb1\xb2\xb3\xb4\xb5\xb6\xb7\xb8\xac\x02\x88\x99\xaa\xbb\xcc\xdd\xee\xff\x01\x02\x06\x02\x01\x02\x01\x02\x01\x02\x80\x01' \
            '\x13\x00\x00\x00\x00\x00\x00\x01\x02' \
            '\x14\x02\x01\x00\xa1\xa2\xa3\xa4\xa5\xa6\xa7\xa8\x05\x04\x80\x80\x04' \
            '\x15\x02\x02\x44\x00\xa1\xa2\xa3\xa4\xa5\xa6\xa7\xa8\xac\x02\x80\x01\x01\x00\xb1\xb2\xb3\xb4\xb5\xb6\xb7\xb8\x05\x04\x64\x65\x76\x00\x11\x22\x33\x44\x55\x66\x77\x88\x99\xaa\xbb\xcc\xdd\xee\xff\x03\x01\x02\x03\xca\x01\x00\x00\x11\x22\x33\x44\x55\x66\x77\x88\x99\xaa\xbb\xcc\xdd\xee\xff\x00\x10\x01\x02\x40\x09\x02\x06\x00\x03\xc3\xa9\x00\x11\x22\x33\x44\x55\x66\x77\x88\x99\xaa\xbb\xcc\xdd\xee\xff\x00\x81\x08\x00\x00\x00\x11\x22\x33\x44\x55\x66\x77\x88\x99\xaa\xbb\xcc\xdd\xee\xff\x00' \
            '\x20\x01\x01\x00\xa1\xa2\xa3\xa4\xa5\xa6\xa7\xa8\x02\x00\x01\x01\x03\x01\x02\x04\x64\x65\x76\x01\x75' \
            '\x21\x07\x03\x01\x00\xa1\xa2\xa3\xa4\xa5\xa6\xa7\xa8\x09\x01\x00\xb1\xb2\xb3\xb4\xb5\xb6\xb7\xb8\x01\x01\x04\x64\x65\x76\x01\x01\x64\x01\x01\x02\x02\x01\x01\x78\x01\x01\x02\x02\xac\x02\x01\x02\x02\x00\x01\x00\x01\x75\x01\x55\x05\x04\x02\x04\x01\x00\x11\x22\x33\x44\x55\x66\x77\x88\x99\xaa\xbb\xcc\xdd\xee\xff\x00\x02\x04\x01\xc8\x01\xad\x02\x00\x00\x00\x11\x22\x33\x44\x55\x66\x77\x88\x99\xaa\xbb\xcc\xdd\xee\xff\x00\x01\x00\x01\x01\x64\x01\x01\xad\x02\x00\x11\x22\x33\x44\x55\x66\x77\x88\x99\xaa\xbb\xcc\xdd\xee\xff\x01\x02\x01\x02' \
            '\x28\x00\xa1\xa2\xa3\xa4\xa5\xa6\xa7\xa8\x01\xac\x02\x04\x64\x65\x76\x01\x75\x03\x41\x6e\x6e\x02\x00\x01\x76\x00\x00' \
            '\x29\x00\xa1\xa2\xa3\xa4\xa5\xa6\xa7\xa8\x01' \
            '\x2a\x00\xa1\xa2\xa3\xa4\xa5\xa6\xa7\xa8\x01\x02\x03\x01\x04\x64\x65\x76\x01\x75\x03\x41\x6e\x6e\x02\x00\x01\x76\x00\x00' \
            '\x03\x20\x01\x01\x02\x01\x63\x00\xa1\xa2\xa3\xa4\xa5\xa6\xa7\xa8\x03\x00\x00\x00\x00\x00\x00\x11\x22\x01\x6e\x03\x68\x3a\x31\xac\x02\x04\x1c\x08\x01\x00\xa1\xa2\xa3\xa4\xa5\xa6\xa7\xa8\x03\x02\x00\xb1\xb2\xb3\xb4\xb5\xb6\xb7\xb8\x03\x68\x3a\x31\x01\x6e\x02\x64\x01\x33\x12\x02\x00\xa1\xa2\xa3\xa4\xa5\xa6\xa7\xa8\x07\x00\x11\x22\x33\x44\x55\x66\x77\x00\xb1\xb2\xb3\xb4\xb5\xb6\xb7\xb8\xac\x02\x88\x99\xaa\xbb\xcc\xdd\xee\xff\x01\x02\x06\x02\x01\x02\x01\x02\x01\x02\x80\x01'
        ;;
    esac
}

failed=0
for name in "${targets[@]}"; do
    swiftc "${flags[@]}" -module-name "${source[$name]}" -o "$work/$name" \
        "Tests/Fuzz/${source[$name]}.swift" "$work/ConvergeCRDT.o" "$work/ConvergeWire.o"
    mkdir -p "$work/corpus-$name" "$work/found-$name"
    seeds "$name"
    echo "fuzz $name: $seconds s"
    status=0
    # A finding that hangs must not hang this: libFuzzer's own limit first, the kill behind it.
    SWIFT_BACKTRACE=enable=no timeout -s KILL $((seconds + 60)) "$work/$name" -max_total_time="$seconds" -timeout=10 \
        -rss_limit_mb=2048 -max_len=4096 -print_final_stats=1 -artifact_prefix="$work/found-$name/" \
        "$work/corpus-$name" >"$work/$name.log" 2>&1 || status=$?
    grep -E 'number_of_executed_units|average_exec_per_sec' "$work/$name.log" || true
    grep -E ' cov: ' "$work/$name.log" | tail -n 1 || true
    if [ "$status" -ne 0 ]; then
        failed=1
        echo "fuzz $name: FAILED (status $status)" >&2
        tail -n 30 "$work/$name.log" >&2
        for input in "$work/found-$name"/*; do
            [ -e "$input" ] || continue
            echo "the input, $(basename "$input"):" >&2
            od -A x -t x1z "$input" >&2
            echo "in base64: $(base64 -w 0 "$input")" >&2
        done
    fi
done
exit "$failed"
