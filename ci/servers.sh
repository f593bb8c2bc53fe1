#!/usr/bin/env bash
# PostgreSQL and Redis for the tests.
#
#   source ci/servers.sh          starts both; they end with the shell that sourced it (its EXIT trap)
#   ci/servers.sh COMMAND…        starts both, runs the command, stops them, exits as the command did
#
# Exports TEST_POSTGRES_URL, TEST_POSTGRES_BIN (the directory of its programs) and TEST_REDIS_URL. A server whose URL is set
# already is used as it is. What is missing is installed with apt where that is possible (root, or sudo without a password);
# what cannot be had is said on stderr and not exported, and the tests decide: with REQUIRE_SERVERS=1 they fail.
#
# Servers listen on free ports of the loopback interface and keep their data in a directory of their own, without fsync.
# Only what was started here is stopped: by process id, and the directory goes with it.

servers_directory=
servers_redis=

servers_say() { echo "ci/servers.sh: $*" >&2; }

# As root where root is needed and can be had.
servers_as_root() {
  if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo -n "$@"; fi
}

# PostgreSQL refuses to run as root.
servers_as_user() {
  if [ "$(id -u)" -eq 0 ]; then runuser -u nobody -- "$@"; else "$@"; fi
}

servers_install() {
  command -v apt-get >/dev/null || return 1
  servers_as_root true 2>/dev/null || return 1
  servers_say "installing $* with apt"
  { servers_as_root apt-get update -qq &&
    servers_as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@"; } >&2
}

# The directory of initdb: the newest version that Debian's packages left, or whatever is on the PATH.
servers_postgres_bin() {
  local found
  found=$(printf '%s\n' /usr/lib/postgresql/*/bin/initdb | sort -V | tail -n 1)
  [ -x "$found" ] || found=$(command -v initdb) || return 1
  dirname "$found"
}

servers_free_port() {
  local port
  for _ in $(seq 100); do
    port=$((20000 + RANDOM % 12000))
    # Nobody answers: nobody listens.
    if ! (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
      echo "$port"
      return 0
    fi
  done
  return 1
}

servers_start_postgres() {
  local bin data port
  bin=${TEST_POSTGRES_BIN:-$(servers_postgres_bin)} || {
    # Where an init system runs, the packages start servers of their own. They are left alone.
    servers_install postgresql || return 1
    bin=$(servers_postgres_bin) || return 1
  }
  data=$servers_directory/postgres
  mkdir "$data"
  [ "$(id -u)" -ne 0 ] || chown nobody "$data"
  (cd "$data" && servers_as_user "$bin/initdb" -A trust -U postgres --no-sync -D "$data/data") >"$servers_directory/initdb.log" 2>&1 || {
    cat "$servers_directory/initdb.log" >&2
    return 1
  }
  # Another process may take the port before the server does.
  for _ in 1 2 3; do
    port=$(servers_free_port) || return 1
    if (cd "$data" && servers_as_user "$bin/pg_ctl" -D "$data/data" -l "$data/log" -w \
      -o "-p $port -c listen_addresses=127.0.0.1 -c unix_socket_directories=$data -c fsync=off -c max_connections=300" \
      start) >/dev/null 2>&1 </dev/null; then
      export TEST_POSTGRES_BIN=$bin TEST_POSTGRES_URL="postgres://postgres@127.0.0.1:$port/postgres"
      return 0
    fi
  done
  cat "$data/log" >&2
  return 1
}

servers_start_redis() {
  local port
  command -v redis-server >/dev/null || servers_install redis-server || return 1
  for _ in 1 2 3; do
    port=$(servers_free_port) || return 1
    redis-server --bind 127.0.0.1 --port "$port" --save '' --appendonly no --dir "$servers_directory" \
      --logfile "$servers_directory/redis.log" </dev/null >/dev/null 2>&1 &
    servers_redis=$!
    for _ in $(seq 100); do
      kill -0 "$servers_redis" 2>/dev/null || break
      if grep -qs 'Ready to accept connections' "$servers_directory/redis.log"; then
        export TEST_REDIS_URL="redis://127.0.0.1:$port"
        return 0
      fi
      sleep 0.1
    done
    kill "$servers_redis" 2>/dev/null || true
    wait "$servers_redis" 2>/dev/null || true
    servers_redis=
  done
  cat "$servers_directory/redis.log" >&2
  return 1
}

servers_stop() {
  local status=$? pid
  if [ -n "$servers_redis" ]; then
    kill "$servers_redis" 2>/dev/null || true
    wait "$servers_redis" 2>/dev/null || true
    servers_redis=
  fi
  if [ -n "$servers_directory" ]; then
    pid=$servers_directory/postgres/data/postmaster.pid
    if [ -s "$pid" ]; then
      (cd / && servers_as_user "$TEST_POSTGRES_BIN/pg_ctl" -D "$servers_directory/postgres/data" -m immediate -w stop) >/dev/null 2>&1 ||
        servers_say "PostgreSQL did not stop: $pid"
    fi
    rm -rf "$servers_directory"
    servers_directory=
  fi
  return "$status"
}

servers_start() {
  servers_directory=$(mktemp -d "${TMPDIR:-/tmp}/policyd-servers.XXXXXX") || return 1
  # PostgreSQL has to reach its part of it.
  chmod 711 "$servers_directory"
  trap servers_stop EXIT
  if [ -n "${TEST_POSTGRES_URL:-}" ]; then
    servers_say "PostgreSQL is given: TEST_POSTGRES_URL"
  elif servers_start_postgres; then
    servers_say "PostgreSQL: $TEST_POSTGRES_URL"
  else
    servers_say "no PostgreSQL"
  fi
  if [ -n "${TEST_REDIS_URL:-}" ]; then
    servers_say "Redis is given: TEST_REDIS_URL"
  elif servers_start_redis; then
    servers_say "Redis: $TEST_REDIS_URL"
  else
    servers_say "no Redis"
  fi
}

servers_start
if [ "${BASH_SOURCE[0]}" = "$0" ]; then
  trap 'exit 130' INT
  trap 'exit 143' TERM
  "$@"
fi
