#!/usr/bin/env bash
# Checks the alerting rules with promtool: that they are rules, and that each fires for what it is for (packaging/alerts_test.yml).
#
#   scripts/check_alerts.sh
#
# Where there is no promtool, it is taken out of Debian's package `prometheus`, which is not installed: no service starts.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
help_if_asked "$@"
[ $# -eq 0 ] || misuse "not understood: $*"

promtool=$(find_promtool)
"$promtool" check rules "$root/packaging/alerts.yml"
"$promtool" test rules "$root/packaging/alerts_test.yml"
