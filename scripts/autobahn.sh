#!/usr/bin/env bash
# WebSocket conformance: runs the Autobahn test-suite's fuzzing client against a node's /echo and fails unless every
# case of the categories 1-7, 9 and 10 passes.
#
#   scripts/autobahn.sh [CASE…]      only these cases, such as '6.*' (quoted) or 7.7.3
#
# The report is left in the folder that the last line names. The test-suite is a program for Python 2.7: as such it is
# looked for (CONVERGE_PYTHON2 may name one), and installed by pip into CONVERGE_AUTOBAHN (default: a folder in the
# user's cache), once.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
help_if_asked "$@"
for word; do
    case $word in *[!0-9.*]* | '') misuse "\"$word\" is no case of the test-suite" ;; esac
done

# Compression (12, 13) is not offered, so there is nothing to test there. 8 and 11 are empty.
cases=("$@")
[ ${#cases[@]} -gt 0 ] || cases=("1.*" "2.*" "3.*" "4.*" "5.*" "6.*" "7.*" "9.*" "10.*")
# What is left behind: its last release for Python 2.7 that names what it needs.
suite="autobahntestsuite==0.8.2"
home=${CONVERGE_AUTOBAHN:-${XDG_CACHE_HOME:-$HOME/.cache}/converge-autobahn}

find_python2() {
    local candidate
    for candidate in "${CONVERGE_PYTHON2:-}" python2.7 pypy2 pypy python2 "$HOME"/.pyenv/versions/2.7*/bin/python2.7; do
        if [ -n "$candidate" ] && "$candidate" -c 'import sys, pip; sys.exit(sys.version_info[0] != 2)' 2>/dev/null; then
            echo "$candidate"
            return
        fi
    done
    announce "the Autobahn test-suite is a program for Python 2.7, and none with pip is found"
    die "install CPython 2.7 or PyPy2 (pyenv has both), name it in CONVERGE_PYTHON2, and try again"
}

need_swift
need_libraries
python=$(find_python2)
export PYTHONUSERBASE=$home PYTHONDONTWRITEBYTECODE=1 PYTHONWARNINGS=ignore
if [ ! -x "$home/bin/wstest" ]; then
    announce "installing $suite into $home"
    "$python" -m pip install --quiet --user --no-warn-script-location --disable-pip-version-check "$suite" >&2
fi

swift build --package-path "$root" -c release --product converge >&2
binary=$(swift build --package-path "$root" -c release --show-bin-path)/converge
work=$(mktemp -d "${TMPDIR:-/tmp}/converge-autobahn.XXXXXX")
port=$(free_port)
CONVERGE_ECHO=1 CONVERGE_JWT_SECRET=conformance PORT=$port CONVERGE_HOST=127.0.0.1 CONVERGE_DB_PATH=$work/converge.db \
    "$binary" serve >"$work/server.log" 2>&1 </dev/null &
server=$!
trap 'kill "$server" 2>/dev/null || true; wait "$server" || true; rm -f "$work"/converge.db*' EXIT
await_port "$port" "$server" || { cat "$work/server.log" >&2; die "the node did not start"; }

list=$(printf '"%s",' "${cases[@]}")
cat >"$work/spec.json" <<JSON
{"outdir": "$work/report", "servers": [{"agent": "converge", "url": "ws://127.0.0.1:$port/echo"}],
 "cases": [${list%,}], "exclude-cases": [], "exclude-agent-cases": {}}
JSON
announce "running the cases ${cases[*]}"
(cd "$work" && "$python" "$home/bin/wstest" --mode fuzzingclient --spec "$work/spec.json") >"$work/client.log" 2>&1 </dev/null ||
    { tail -n 20 "$work/client.log" >&2; die "the fuzzing client failed"; }
kill -0 "$server" || { tail -n 20 "$work/server.log" >&2; die "the node ended under the test"; }

status=0
python3 - "$work/report/index.json" <<'PY' || status=$?
# INFORMATIONAL is said of cases for which RFC 6455 prescribes nothing (7.1.6, 7.13.*); NON-STRICT, of a violation that
# is noticed, but later than it could be: that does not pass here.
import collections, json, sys
results = json.load(open(sys.argv[1]))["converge"]
passing = {"OK", "INFORMATIONAL"}
kinds, failed = collections.Counter(), []
for case, result in results.items():
    kinds[result["behavior"]] += 1
    if result["behavior"] not in passing or result["behaviorClose"] not in passing:
        failed.append((case, result))
for case, result in sorted(failed, key=lambda f: [int(n) for n in f[0].split(".")]):
    print(f"{case:9} {result['behavior']}, close {result['behaviorClose']} ({result['remoteCloseCode']})")
print(f"{len(results)} cases: " + ", ".join(f"{n} {kind}" for kind, n in kinds.most_common()) + f"; {len(failed)} not passed")
sys.exit(1 if failed or not results else 0)
PY
echo "report: $work/report/index.html"
exit $status
