#!/usr/bin/env bash
# Segments of the decision log, read by DuckDB: `ci/parquet.sh`.
#
# policyd makes decisions of two kinds on two policies and is stopped; DuckDB reads its folder with the queries of
# docs/segments.md and must find what `policyd decisions export` writes. Needs Python with venv and PyPI, and ends with 77 where they
# are not there. POLICYD names a program that is built already.
set -euo pipefail
cd "$(dirname "$0")/.."

dir=$(mktemp -d)
pids=()
trap 'for pid in "${pids[@]}"; do kill -9 "$pid" 2>/dev/null && wait "$pid" 2>/dev/null; done; rm -rf "$dir"' EXIT

if ! { python3 -m venv "$dir/venv" && timeout 180 "$dir/venv/bin/pip" install -q duckdb pytz; } >"$dir/pip" 2>&1; then
  echo "skipped: duckdb cannot be installed: $(tail -n 1 "$dir/pip")"
  exit 77
fi
program=${POLICYD:-}
if [ -z "$program" ]; then
  cargo build --locked --quiet --workspace --bin policyd
  program=${CARGO_TARGET_DIR:-target}/debug/policyd
fi

"$dir/venv/bin/python" ci/parquet.py "$(realpath "$program")" "$dir" &
pids+=($!)
wait "${pids[0]}"
