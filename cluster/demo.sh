#!/usr/bin/env bash
# Shows, in about a minute and on a cluster of its own, what three nodes do together; it ends by itself, and with 0 only
# if each step was seen to be true.
#
#   cluster/demo.sh
#
# Ann, Bob and Cat each talk to a node of their own, by `converge chat`. Documents and whole histories are asked for by
# WebSocket, as a program would. Nothing is left behind; ports are any free ones.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/../scripts/lib.sh"
help_if_asked "$@"
[ $# -eq 0 ] || misuse "not understood: $*"

work=$(mktemp -d "${TMPDIR:-/tmp}/converge-demo.XXXXXX")
export CONVERGE_CLUSTER_DIR=$work/cluster
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

chats=()
finish() {
    local status=$?
    trap '' INT TERM HUP
    exec {to_ann}>&- {to_bob}>&- {to_cat}>&- || true
    [ ${#chats[@]} -eq 0 ] || kill "${chats[@]}" 2>/dev/null || true
    "$root/cluster/down.sh" --wipe >/dev/null 2>&1 || true
    rm -rf "$work"
    if [ $status = 0 ]; then echo; echo "All of it was seen to be true."; else echo "demo.sh: FAILED" >&2; fi
    exit $status
}
to_ann='' to_bob='' to_cat=''

# MARK: Words to print

steps=0
step() {
    steps=$((steps + 1))
    printf '\n%s. %s\n' $steps "$*"
}
seen() { echo "   ✓ $*"; }

# missing WORDS [FILE]: what was to be seen was not.
missing() {
    echo "   ✗ $1" >&2
    local node
    [ -z "${2:-}" ] || tail -n 20 "$2" >&2
    for node in $(nodes); do
        echo "   the end of the log of node $node:" >&2
        tail -n 8 "$(folder "$node")/log" >&2 || true
    done
    exit 1
}

# MARK: People

# await_text FILE TEXT [FROM]: until the file has the text, after byte FROM; false after 15 s.
await_text() {
    local deadline=$((SECONDS + 15))
    until tail -c "+$((${3:-0} + 1))" "$1" | grep -qF -- "$2"; do
        [ $SECONDS -lt $deadline ] || return 1
        sleep 0.05
    done
}

# enter NODE USER NAME: a terminal client that reads what is written to $to_USER and writes to $work/USER.
enter() {
    mkfifo "$work/$2.in"
    : >"$work/$2"
    # Read by nobody else, so that it ends when this script does.
    local -n to=to_$2
    exec {to}<>"$work/$2.in"
    CONVERGE_ROOM=demo "$root/cluster/chat.sh" "$@" <"$work/$2.in" >"$work/$2" 2>&1 {to}>&- &
    chats+=($!)
    await_text "$work/$2" "* $3 joined" || missing "$3 did not get in" "$work/$2"
}

# say USER TEXT
say() {
    local -n to=to_$1
    echo "$2" >&"$to"
}

# sees USER TEXT [FROM]
sees() { await_text "$work/$1" "$2" "${3:-0}" || missing "$1 does not see: $2" "$work/$1"; }

# users_are TEXT USER…: each of the users gets that list.
users_are() {
    local text=$1 user deadline from
    shift
    for user; do
        deadline=$((SECONDS + 15))
        while :; do
            from=$(stat -c %s "$work/$user")
            say "$user" /users
            await_text "$work/$user" "-- users in demo" "$from" || missing "$user gets no list of users" "$work/$user"
            ! tail -c "+$((from + 1))" "$work/$user" | grep -qF -- "$text" || break
            [ $SECONDS -lt $deadline ] || missing "$user does not get: $text" "$work/$user"
            sleep 0.2
        done
    done
}

# MARK: Frames

# request NODE ROOM FRAME: sends a frame, which must have "ref":"d", and prints the answer; false where none comes.
#
# A WebSocket with bash alone: text frames are masked with zeros, and each frame that comes begins with the byte 0x81.
request() {
    local socket token frame=$3 part="" deadline=$((SECONDS + 10))
    token=$(token demo)
    exec {socket}<>"/dev/tcp/$(host "$1")/$(client_port "$1")" || return 1
    {
        printf 'GET /ws?room=%s HTTP/1.1\r\nHost: demo\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n' "$2"
        printf 'Authorization: Bearer %s\r\n' "$token"
        printf 'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n'
        # shellcheck disable=SC2059 # the format holds the length
        printf "\\x81\\x$(printf %02x $((128 + ${#frame})))\\x00\\x00\\x00\\x00"
        printf '%s' "$frame"
    } >&"$socket"
    while [ $SECONDS -lt $deadline ]; do
        # At a time-out, what has come of a frame stays in `more`.
        local more="" ended=0
        LC_ALL=C IFS='' read -r -t 0.2 -d $'\x81' more <&"$socket" || ended=$?
        part+=$more
        case $part in
        *'"ref":"d"'*'}')
            # Before the frame stands its length, which may look like anything.
            echo "{\"id\"${part#*\{\"id\"}"
            exec {socket}>&-
            return 0
            ;;
        esac
        [ $ended -ne 0 ] || part=""
        [ $ended -ne 1 ] || break
    done
    exec {socket}>&-
    return 1
}

# value NODE FIELD FRAME: that field of the answer.
value() {
    request "$1" demo "$3" | sed -nE "s/.*\"$2\":(\"[^\"]*\"|\[[^]]*\]).*/\1/p"
}

# history NODE: of the room demo, an entry a line: its id, and what it says. Asked for from another room, so that asking
# changes nothing.
history_of() {
    request "$1" lookout '{"type":"history","room":"demo","limit":200,"ref":"d"}' |
        sed 's/.*"history":\[//; s/\],"limit".*//; s/},{/}\n{/g' |
        sed -nE 's/.*"id":"([0-9a-f]+)".*"body":"([^"]*)".*"pos":"([0-9a-f]+)".*/\3 \1 \2/p'
}

# same_everywhere WHAT COMMAND…: runs COMMAND with each node's number until all print the same, and prints that.
same_everywhere() {
    local what=$1 deadline=$((SECONDS + 15)) first other node
    shift
    while :; do
        first=$("$1" 1 "${@:2}" || true)
        same=$first
        for node in 2 3; do
            other=$("$1" "$node" "${@:2}" || true)
            [ "$other" = "$first" ] || same=""
        done
        [ -z "$same" ] || return 0
        if [ $SECONDS -ge $deadline ]; then
            for node in 1 2 3; do
                echo "   node $node:" >&2
                "$1" "$node" "${@:2}" >&2 || true
            done
            missing "$what is not the same on all nodes"
        fi
        sleep 0.2
    done
}

# MARK: What is shown

trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

step "Three nodes start, each with a database of its own, and find each other."
port=$(free_ports 6)
"$root/cluster/up.sh" 3 --port "$port" --gossip-port $((port + 3)) >"$work/up" || exit 1
for node in 1 2 3; do seen "node $node is ready at $(url "$node")"; done
began=$SECONDS
if command -v curl >/dev/null; then
    for node in 1 2 3; do
        [ "$(curl -s "http://$(address "$node")/health")" = ok ] || missing "node $node is not healthy"
    done
fi

step "Ann connects to node 1, Bob to node 2, Cat to node 3. All are in one room."
enter 1 ann Ann
enter 2 bob Bob
enter 3 cat Cat
for user in ann bob; do sees $user "* Cat joined"; done
users_are "-- users in demo (3): ann, bob, cat" ann bob cat
seen "everybody sees: users in demo: ann, bob, cat"

step "Ann writes a message. It is stored on node 1, and crosses to the others."
say ann "hello from node 1"
for user in ann bob cat; do sees $user "Ann: hello from node 1"; done
say cat "hello Ann, from node 3"
for user in ann bob cat; do sees $user "Cat: hello Ann, from node 3"; done
seen "Bob and Cat have it, and Ann has Cat's answer"

step "Two nodes change the same documents at the same time."
(value 1 ref '{"type":"crdt_orset_add","doc":"list","body":"milk","ref":"d"}' >"$work/add1") &
adding=$!
value 3 ref '{"type":"crdt_orset_add","doc":"list","body":"bread","ref":"d"}' >"$work/add3"
wait $adding
(value 1 ref '{"type":"crdt_lww_set","doc":"title","body":"Monday","ref":"d"}' >"$work/set1") &
adding=$!
value 2 ref '{"type":"crdt_lww_set","doc":"title","body":"Tuesday","ref":"d"}' >"$work/set2"
wait $adding
for file in add1 add3 set1 set2; do [ -s "$work/$file" ] || missing "a write to a document was not acknowledged"; done
items() { value "$1" items '{"type":"crdt_orset_values","doc":"list","ref":"d"}'; }
title() { value "$1" body '{"type":"crdt_lww_get","doc":"title","ref":"d"}'; }
same_everywhere "the list" items
[ "$same" = '["bread","milk"]' ] || missing "the list is $same"
seen "the set is the same on all nodes: $same"
same_everywhere "the title" title
case $same in '"Monday"' | '"Tuesday"') ;; *) missing "the title is $same" ;; esac
seen "of two titles all nodes chose the same one: $same"

step "Node 3 is killed. Cat was connected to it."
"$root/cluster/kill.sh" 3 2>/dev/null
for user in ann bob; do sees $user "* Cat left"; done
users_are "-- users in demo (2): ann, bob" ann bob
seen "Ann and Bob see that Cat left"

step "Meanwhile the others go on."
for number in $(seq 20); do
    say ann "while it was away, $number of 20"
    say bob "and so did I, $number of 20"
done
for user in ann bob; do
    sees $user "while it was away, 20 of 20"
    sees $user "and so did I, 20 of 20"
done
[ "$(value 2 ref '{"type":"crdt_orset_add","doc":"list","body":"salt","ref":"d"}')" = '"d"' ] ||
    missing "a write to a document was not acknowledged"
seen "40 messages and a document are written on nodes 1 and 2"

step "Node 3 starts again, and catches up."
"$root/cluster/restart.sh" 3 2>/dev/null
await_whole 30 || missing "the nodes are not one cluster again"
same_everywhere "the history" history_of
lines=$(grep -cE "of 20$" <<<"$same" || true)
[ "$lines" = 40 ] || missing "history has $lines of the 40 messages"
[ "$(sort -c <<<"$same" 2>&1)" = "" ] || missing "history is not in the order of pos"
[ "$(cut -d' ' -f2 <<<"$same" | sort -u | wc -l)" = "$(wc -l <<<"$same")" ] || missing "an entry is in history twice"
[ "$(grep -c "Cat left" <<<"$same")" = 1 ] || missing "Cat did not leave exactly once"
seen "history is the same on all nodes: $(wc -l <<<"$same") entries, each once, in one order"
same_everywhere "the list" items
[ "$same" = '["bread","milk","salt"]' ] || missing "the list is $same"
seen "and so is the set: $same"
sees cat "connected again"
for words in "while it was away" "and so did I"; do
    for number in $(seq 20); do sees cat "$words, $number of 20"; done
    [ "$(grep -c "$words, [0-9]* of 20" "$work/cat")" = 20 ] || missing "Cat sees something twice" "$work/cat"
done
seen "Cat's program is back by itself, and shows what she missed, each once"

step "Node 2 stops gracefully: its users leave at once."
kill -TERM "$(node_process 2)"
await_end "$(folder 2)/process" 12 || missing "node 2 does not stop"
sees ann "* Bob left"
sees bob "not connected: the server is shutting down; trying again"
seen "Bob is told, and Ann sees that he left"

step "The others stop, too."
"$root/cluster/down.sh" 2>"$work/down" || missing "they did not stop" "$work/down"
! grep -q "by force" "$work/down" || missing "a node had to be ended by force" "$work/down"
seen "gracefully, $((SECONDS - began)) s after they had started"
