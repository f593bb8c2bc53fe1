#!/usr/bin/env bash
# The archive of segments in buckets, against servers that speak their protocols: `ci/buckets.sh`.
#
# S3 is PyPI `moto`, read by pyarrow as well; Azure is npm `azurite`; Google Cloud Storage has no emulator that can be had from there
# with the API that is used, so its client runs against moto, whose API its XML API resembles. policyd is killed while it uploads,
# its bucket is frozen and gone for a while, and its objects are damaged. Needs Python with venv and PyPI, and ends with 77 where they
# are not there; without npm, Azure is skipped by name. POLICYD names a program that is built already.
set -euo pipefail
cd "$(dirname "$0")/.."

dir=$(mktemp -d)
pids=()
trap 'for pid in "${pids[@]}"; do kill -9 "$pid" 2>/dev/null && wait "$pid" 2>/dev/null; done; rm -rf "$dir"' EXIT

python=${BUCKETS_PYTHON:-}
if [ -z "$python" ]; then
  python=$dir/venv/bin/python
  if ! { python3 -m venv "$dir/venv" && timeout 400 "$dir/venv/bin/pip" install -q 'moto[server]' pyarrow azure-storage-blob; } >"$dir/pip" 2>&1; then
    echo "skipped: moto, pyarrow and azure-storage-blob cannot be installed: $(tail -n 1 "$dir/pip")"
    exit 77
  fi
fi
azurite=${BUCKETS_AZURITE:-}
if [ -z "$azurite" ]; then
  if command -v npm >/dev/null && timeout 300 npm install --prefix "$dir/npm" --no-audit --no-fund --silent azurite >"$dir/npm.log" 2>&1; then
    azurite=$dir/npm/node_modules/.bin/azurite-blob
  else
    echo "skipped: Azure: azurite cannot be installed: $(tail -n 1 "$dir/npm.log" 2>/dev/null || echo 'no npm')"
  fi
fi
program=${POLICYD:-}
if [ -z "$program" ]; then
  cargo build --locked --quiet --workspace --bin policyd
  program=${CARGO_TARGET_DIR:-target}/debug/policyd
fi

"$python" ci/buckets.py "$(realpath "$program")" "$dir" "$azurite" &
pids+=($!)
wait "${pids[0]}"
