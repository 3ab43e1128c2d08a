#!/usr/bin/env bash
# Makes the pictures of `converge chat` in docs/images from the real program: two nodes, a few people, and tmux as the
# terminal; what its panes show becomes SVG.
#
#   scripts/pictures.sh [PROGRAM]      a `converge` that is built; else a debug build is made
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
help_if_asked "$@"
no_flags "$@"
[ $# -le 1 ] || misuse "one program, no more"

need_tmux
command -v python3 >/dev/null || die "python3 is missing"
program=${1:-}
if [ -z "$program" ]; then
    need_swift
    swift build --package-path "$root" --product converge >&2
    program=$(swift build --package-path "$root" --show-bin-path)/converge
fi
program=$(realpath "$program")

work=$(mktemp -d)
pids=()
screen() { tmux -u -S "$work/tmux" -f /dev/null "$@"; }
tidy() {
    screen kill-server 2>/dev/null || true
    for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
    wait
    rm -rf "$work"
}
trap tidy EXIT

export LC_ALL=C.UTF-8 TZ=UTC
unset TMUX CONVERGE_TOKEN
CONVERGE_JWT_SECRET=$("$program" secret)
CONVERGE_CLUSTER_SECRET=$("$program" secret)
export CONVERGE_JWT_SECRET CONVERGE_CLUSTER_SECRET
ports=("$(free_port)" "$(free_port)")
gossip=("$(free_port)" "$(free_port)")
start_node() {
    CONVERGE_NODE_NAME=n$(($1 + 1)) CONVERGE_ADDR=127.0.0.1:${ports[$1]} CONVERGE_GOSSIP_ADDR=127.0.0.1:${gossip[$1]} \
        CONVERGE_PEERS=127.0.0.1:${gossip[0]},127.0.0.1:${gossip[1]} CONVERGE_DB_PATH=$work/n$1.db \
        "$program" serve 2>>"$work/n$1.log" &
    pids[$1]=$!
    await_port "${ports[$1]}" "${pids[$1]}" || { cat "$work/n$1.log" >&2; die "a node did not start"; }
}
start_node 0
start_node 1
sleep 2

# say USER NAME ROOM LINE…: lines through a pipe, on the second node.
say() {
    local user=$1 name=$2 room=$3
    shift 3
    printf '%s\n' "$@" | CONVERGE_TOKEN=$("$program" token "$user" "$name") HOME=$work \
        "$program" chat --lines --server "127.0.0.1:${ports[1]}" --room "$room" >/dev/null
}
# person SESSION COLUMNS ROWS USER NAME: the full screen.
person() {
    screen new-session -d -s "$1" -x "$2" -y "$3" -e "CONVERGE_TOKEN=$("$program" token "$4" "$5")" -e "HOME=$work" \
        "'$program' chat --server 127.0.0.1:${ports[$6]},127.0.0.1:${ports[$((1 - $6))]}"
    screen set -g status off
    screen resize-window -t "$1" -x "$2" -y "$3"
}
keys() {
    screen send-keys -t "$1" -l "$2"
    sleep 0.1
    if [ "${3:-}" = Enter ]; then screen send-keys -t "$1" Enter; fi
    sleep 0.4
}
picture() {
    local cursor
    cursor=$(screen display-message -p -t "$1" '#{cursor_x} #{cursor_y}')
    # shellcheck disable=SC2086
    screen capture-pane -e -p -t "$1" | "$root/scripts/terminal_picture.py" "$2" "$3" $cursor >"$root/docs/images/$4"
}

say cat Cat lobby 'morning! the release is out: https://example.org/converge/releases'
person ann 80 24 ann Ann 0
person bob 120 30 bob Bob 1
sleep 2
keys ann '/join dev' Enter
keys ann '/join ops' Enter
screen send-keys -t ann M-1
keys bob '/join dev' Enter
screen send-keys -t bob M-1
keys bob 'Did anybody look at the second node? It says "suspect" since eleven.' Enter
keys ann 'yes, its disk was full. I made room, it is catching up 🎉' Enter
say kobayashi 小林 lobby 'おはようございます。テストはすべて通りました'
keys ann '/doc release add notes' Enter
keys bob '@ann thank you! 👩‍💻 Who writes the notes?' Enter
say dora Dora dev 'ann: the benchmark is in the usual place'
say eve Eve ops 'disk n2 93 %' 'disk n2 41 %'
keys ann 'I do' Enter
keys ann 'and then we '
keys bob 'good'
picture ann 80 24 chat.svg
screen send-keys -t bob C-u
{
    kill -KILL "${pids[0]}" "${pids[1]}"
    wait "${pids[0]}" "${pids[1]}" || true
} 2>/dev/null
sleep 1.5
keys bob 'is anybody there?' Enter
sleep 0.5
picture bob 120 30 chat-offline.svg
