#!/usr/bin/env bash
# Webhooks of policyd, verified by the implementation that the Standard Webhooks project publishes: `ci/webhooks.sh`.
#
# A receiver with PyPI `standardwebhooks` is away at first, and policyd is killed and started again meanwhile. Every decision and every
# audit record must arrive, in order, under one id each, with signatures of both secrets. `ci/webhooks.sh SECONDS` is away for so
# long, with the default settings of policyd, while four keys decide and a policy changes, and says how it went.
#
# Needs Python with venv and PyPI, and ends with 77 where they are not there. POLICYD names a program that is built already.
set -euo pipefail
cd "$(dirname "$0")/.."

dir=$(mktemp -d)
pids=()
trap 'for pid in "${pids[@]}"; do kill -9 "$pid" 2>/dev/null && wait "$pid" 2>/dev/null; done; rm -rf "$dir"' EXIT

if ! { python3 -m venv "$dir/venv" && timeout 180 "$dir/venv/bin/pip" install -q 'standardwebhooks==1.0.1'; } >"$dir/pip" 2>&1; then
  echo "skipped: standardwebhooks cannot be installed: $(tail -n 1 "$dir/pip")"
  exit 77
fi
program=${POLICYD:-}
if [ -z "$program" ]; then
  cargo build --locked --quiet --workspace --bin policyd
  program=${CARGO_TARGET_DIR:-target}/debug/policyd
fi

"$dir/venv/bin/python" ci/webhooks.py "$program" "$dir" "$@" &
pids+=($!)
wait "${pids[0]}"
