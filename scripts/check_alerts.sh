#!/usr/bin/env bash
# Checks the alerting rules with promtool: that they are rules, and that each fires for what it is for (packaging/alerts_test.yml).
#
#   scripts/check_alerts.sh
#
# Where there is no promtool, it is taken out of Debian's package `prometheus`, which is not installed: no service starts.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

usage() { sed -n '2,6p' "${BASH_SOURCE[0]}" | sed 's/^# \{0,1\}//'; }
case "${1:-}" in
"") ;;
-h | --help) usage && exit 0 ;;
*) usage >&2 && exit 2 ;;
esac

promtool=$(find_promtool)
"$promtool" check rules "$root/packaging/alerts.yml"
"$promtool" test rules "$root/packaging/alerts_test.yml"
