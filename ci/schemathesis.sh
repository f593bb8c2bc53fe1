#!/usr/bin/env bash
# Generated requests against a running server, made from its own OpenAPI document: `ci/schemathesis.sh [EXAMPLES]`.
#
# Fails when an answer is a server error, or is not what the document says. Needs Python with venv and PyPI, and ends with 77
# where they are not there.
set -euo pipefail
cd "$(dirname "$0")/.."
examples=${1:-25}

dir=$(mktemp -d)
server=''
trap '[ -z "$server" ] || { kill "$server" && wait "$server"; } 2>/dev/null; rm -rf "$dir"' EXIT

tool=${SCHEMATHESIS:-}
if [ -z "$tool" ]; then
  venv=target/schemathesis
  if [ ! -x "$venv/bin/schemathesis" ]; then
    if ! { python3 -m venv "$venv" && timeout 180 "$venv/bin/pip" install -q 'schemathesis==4.32.5'; } >"$dir/pip" 2>&1; then
      rm -rf "$venv"
      echo "schemathesis cannot be installed: $(tail -n 1 "$dir/pip")"
      exit 77
    fi
  fi
  tool=$venv/bin/schemathesis
fi

cargo build --locked --quiet --workspace --bin policyd
mapfile -t ports < <(python3 - <<'PY'
import socket
held = [socket.socket() for _ in range(3)]
for s in held:
    s.bind(("127.0.0.1", 0))
    print(s.getsockname()[1])
PY
)
"${CARGO_TARGET_DIR:-target}/debug/policyd" --dev --port "${ports[0]}" --grpc-port "${ports[1]}" \
  --metrics-port "${ports[2]}" --log-level warn >"$dir/server" 2>&1 &
server=$!
for _ in $(seq 100); do
  if python3 -c "import urllib.request as r; r.urlopen('http://127.0.0.1:${ports[2]}/livez')" 2>/dev/null; then break; fi
  sleep 0.1
done
# Without an active policy nothing is decided, which is a 503.
python3 - "http://127.0.0.1:${ports[0]}/api/v1/policies" examples/policies/quickstart.yaml <<'PY'
import sys, urllib.request
url, policy = sys.argv[1:]
body = open(policy, "rb").read()
urllib.request.urlopen(urllib.request.Request(url, body, {"content-type": "application/yaml"}))
PY

status=0
"$tool" run "http://127.0.0.1:${ports[0]}/openapi.json" --url "http://127.0.0.1:${ports[0]}" --no-color --seed 20261123 \
  --checks not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance \
  --max-examples "$examples" || status=$?
if ! kill -0 "$server" 2>/dev/null; then
  echo "the server ended:"
  cat "$dir/server"
  exit 1
fi
exit "$status"
