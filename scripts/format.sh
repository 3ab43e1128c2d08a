#!/usr/bin/env bash
# Formats the sources in place; with --check, only says what is not formatted, and fails where anything is not.
#
#   scripts/format.sh [--check]
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
help_if_asked "$@"
case $*: in : | --check:) ;; *) misuse "not understood: $*" ;; esac

need_swift
cd "$root"
shopt -s nullglob
sources=(Package.swift Sources Tests examples/*/Package.swift examples/*/Sources)
case "${1:-}" in
"") swift format --in-place --parallel --recursive "${sources[@]}" ;;
--check) swift format lint --strict --parallel --recursive "${sources[@]}" ;;
esac
