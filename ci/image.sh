#!/usr/bin/env bash
# Builds the image, looks at it, runs it, and runs the Deployment of k8s/ with `podman kube play`.
#
#   ci/image.sh                    builds the Dockerfile as it is
#   ci/image.sh --program FILE     puts this program (policy-engine) in instead of building one; the last stage is the same
#
# BUILD, RUNTIME         other base images
# LOAD                   archives of images (`podman save`) that these are in
# BUILD_OPTIONS          more options of `podman build`
#
# Needs podman 4.3 or later as root, which is installed with apt where that is possible; a `policyd` built by cargo makes tokens. Where
# the base image cannot be pulled, one is made of the same Debian packages. The script ends with 77 where no engine can be had; the last line says why.
# Containers share the network of the machine, on free ports of loopback. All images and containers are in a folder that goes at the end.
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD
MOST_MB=70
REGISTRY_IMAGE=gcr.io/distroless/base-nossl-debian12:nonroot
program=
case "$#:${1:-}" in
  0:) ;;
  2:--program) program=$(realpath -e "$2") ;;
  *) echo "usage: ci/image.sh [--program FILE]" >&2; exit 2 ;;
esac

say() { printf 'ci/image.sh: %s\n' "$*"; }
unavailable() { say "$*"; exit 77; }
fail() { say "FAILED: $*" >&2; exit 1; }

[ "$(id -u)" -eq 0 ] || unavailable "needs root for podman"
if ! command -v podman >/dev/null; then
  command -v apt-get >/dev/null || unavailable "no podman, and no apt to install it with"
  say "installing podman with apt"
  { timeout 120 apt-get update -qq &&
    timeout 300 env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends podman buildah runc netavark catatonit; } \
    >/dev/null 2>&1 || unavailable "podman cannot be installed"
fi

work=$(mktemp -d)
export CONTAINERS_CONF=$work/containers.conf
cat >"$CONTAINERS_CONF" <<'CONF'
[containers]
default_ulimits = ["nofile=20000:20000", "nproc=20000:20000"]
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
CONF
podman() { command podman --root "$work/storage" --runroot "$work/run" "$@"; }
finish() {
  podman pod rm --all --force --time 1 >/dev/null 2>&1 || true
  podman rm --all --force --time 1 >/dev/null 2>&1 || true
  podman rmi --all --force >/dev/null 2>&1 || true
  umount "$work/storage/overlay" 2>/dev/null || true
  rm -rf "$work"
}
trap finish EXIT
podman info >/dev/null 2>&1 || unavailable "podman does not work here: $(podman info 2>&1 | tail -n 1)"

for archive in ${LOAD:-}; do podman load -q -i "$archive" >/dev/null; done

# A base image: the one that the Dockerfile names, or one of the same Debian packages.
RUNTIME=${RUNTIME:-$REGISTRY_IMAGE}
if ! podman image exists "$RUNTIME" && ! timeout 60 podman --root "$work/storage" --runroot "$work/run" pull -q "$RUNTIME" >/dev/null 2>&1; then
  say "$RUNTIME cannot be pulled: a base of Debian's packages stands in for it"
  command -v mmdebstrap >/dev/null ||
    { timeout 200 env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends mmdebstrap >/dev/null 2>&1; } ||
    unavailable "neither the base image nor mmdebstrap can be had"
  # Extracted and not installed: no shell and no package manager is in it, as in the original.
  mkdir "$work/base"
  timeout 300 mmdebstrap --quiet --variant=extract --include=base-files,netbase,tzdata,libc6 bookworm "$work/base.tar" \
    >"$work/log" 2>&1 || unavailable "mmdebstrap made no base: $(tail -n 1 "$work/log")"
  tar -xf "$work/base.tar" -C "$work/base" --exclude=./dev
  tar -c -f "$work/base.tar" -C "$work/base" --exclude=./usr/share/doc --exclude=./usr/share/man --exclude=./usr/share/locale \
    --exclude=./usr/share/perl5 --exclude=./usr/share/lintian --exclude=./var/lib/dpkg --exclude=./var/lib/apt --exclude=./var/cache .
  RUNTIME=localhost/runtime
  podman import -q "$work/base.tar" "$RUNTIME" >/dev/null
fi

image=localhost/llm-policy-engine
epoch=$(git log -1 --format=%ct 2>/dev/null || echo 0)
if [ -n "$program" ]; then
  # The last stage of the Dockerfile on programs that are there already.
  mkdir -p "$work/context/programs/usr/local/bin" "$work/context/programs/usr/lib" \
    "$work/context/programs/usr/share/doc/llm-policy-engine" "$work/context/data"
  install -m 0755 "$program" "$work/context/programs/usr/local/bin/policyd"
  strip "$work/context/programs/usr/local/bin/policyd"
  ln -s policyd "$work/context/programs/usr/local/bin/policyc"
  install -m 0644 "$(gcc -print-file-name=libgcc_s.so.1)" "$work/context/programs/usr/lib/"
  install -m 0644 LICENSE NOTICE "$work/context/programs/usr/share/doc/llm-policy-engine/"
  awk '/^FROM \$\{BUILD\}/ { skip = 1; next } /^FROM / { skip = 0 } !skip' Dockerfile |
    sed '/^COPY /{s|--from=build ||;s| /\([a-z]*\)/ | \1/ |}' >"$work/context/Dockerfile"
  podman build -q --isolation chroot --build-arg RUNTIME="$RUNTIME" -t "$image" "$work/context" >"$work/log" 2>&1 ||
    { cat "$work/log"; fail "the last stage of the Dockerfile does not build"; }
else
  BUILD=${BUILD:-docker.io/library/rust:1.95-slim-bookworm}
  # shellcheck disable=SC2086 # Options are words.
  podman build --isolation chroot --build-arg BUILD="$BUILD" --build-arg RUNTIME="$RUNTIME" \
    --build-arg SOURCE_DATE_EPOCH="$epoch" --build-arg REVISION="$(git rev-parse HEAD 2>/dev/null || echo unknown)" \
    ${BUILD_OPTIONS:-} -t "$image" . >"$work/log" 2>&1 || { tail -n 40 "$work/log"; fail "the Dockerfile does not build"; }
fi

size=$(($(podman image inspect "$image" --format '{{.Size}}') / 1000 / 1000))
say "the image has $size MB, not compressed, on $RUNTIME"
[ -n "$program" ] || [ "$size" -lt "$MOST_MB" ] || fail "the image is to stay below $MOST_MB MB"
[ "$(podman image inspect "$image" --format '{{.Config.User}}')" = 65532:65532 ] || fail "the image runs as another user"
[ "$(podman image inspect "$image" --format '{{.Config.StopSignal}}')" = SIGTERM ] || fail "the image stops with another signal"

# What cargo built on this machine, for tokens and requests.
policyd=${POLICYD:-${CARGO_TARGET_DIR:-target}/debug/policyd}
[ -x "$policyd" ] || policyd=target/release/policyd
[ -x "$policyd" ] || { cargo build --locked --quiet --bin policyd && policyd=target/debug/policyd; }

free_ports() {
  python3 - <<'PY'
import socket
held = [socket.socket() for _ in range(3)]
for s in held:
    s.bind(("127.0.0.1", 0))
    print(s.getsockname()[1])
PY
}
mapfile -t ports < <(free_ports)
secure=(--read-only --cap-drop ALL --security-opt no-new-privileges --network host)
listen=(-e HOST=127.0.0.1 -e PORT="${ports[0]}" -e GRPC_PORT="${ports[1]}" -e METRICS_PORT="${ports[2]}")

# 125 is podman's own failure, not the program's.
status=0
podman run --rm "${secure[@]}" "$image" --version >"$work/log" 2>&1 || status=$?
[ "$status" -ne 125 ] || unavailable "podman runs no container here: $(tail -n 1 "$work/log")"

# Both programs, under both names.
for name in policyd policyc; do
  says=$(podman run --rm "${secure[@]}" --entrypoint "/usr/local/bin/$name" "$image" --version) || fail "$name does not run in the image"
  [ "${says%% *}" = "$name" ] || fail "$name calls itself ${says%% *}"
done
say "ok: policyd and policyc run as 65532 on a read-only root without capabilities"

# Without authentication and reachable from outside: refused, with the way out.
status=0
podman run --rm "${secure[@]}" "$image" >"$work/log" 2>&1 || status=$?
[ "$status" -eq 78 ] || { cat "$work/log"; fail "a start without authentication ended with $status, and 78 was expected"; }
grep -q INSECURE_NO_AUTH=true "$work/log" || { cat "$work/log"; fail "the refusal does not name the setting"; }
say "ok: without authentication it ends with 78 and says what to set"

# wait_for SECONDS COMMAND…
wait_for() {
  local seconds=$1
  shift
  for _ in $(seq $((seconds * 5))); do
    "$@" >/dev/null 2>&1 && return 0
    sleep 0.2
  done
  return 1
}

# decide TOKEN ANSWER: the request of the README, and what the answer must hold.
decide() {
  local answer header=()
  [ -z "$1" ] || header=(-H "Authorization: Bearer $1")
  answer=$(curl -s "http://localhost:${ports[0]}/api/v1/evaluate" -H 'Content-Type: application/json' "${header[@]}" -d '{
    "requestId": "r-1",
    "policies": ["cost-limit-policy"],
    "context": {"llm": {"provider": "openai", "model": "gpt-4", "prompt": "Write a long essay...", "maxTokens": 20000},
                "team": {"tier": "free"}}}')
  case $answer in *"$2"*) ;; *) say "answer: $answer"; return 1 ;; esac
}

# stopped NAME: stops a container as an orchestrator does, and looks at how it ended.
stopped() {
  podman stop --time 30 "$1" >/dev/null
  [ "$(podman inspect "$1" --format '{{.State.ExitCode}}')" = 0 ] || { podman logs "$1" 2>&1 | tail -n 5; fail "$1 did not stop with 0"; }
}

# As docs/deployment.md starts it for one machine, with everything taken away that it can do without, on free ports.
podman run -d --name alone "${secure[@]}" "${listen[@]}" -e INSECURE_NO_AUTH=true \
  -v "$root/examples/policies:/policies:ro" -v /var/lib/policyd "$image" --policies /policies >/dev/null
wait_for 30 podman exec alone /usr/local/bin/policyd health || { podman logs alone 2>&1 | tail -n 20; fail "policyd health never said ready"; }
# shellcheck disable=SC2016 # No variable.
decide '' '"decision":"deny","allowed":false,"reason":"Cost exceeds free tier limit ($1.00)"' || fail "the request of the README got another answer"
stopped alone
say "ok: answers the request of the README, says that it is healthy, and stops with 0"

# The Deployment itself, with the secrets and servers that it asks for.
unset TEST_POSTGRES_URL TEST_REDIS_URL
# shellcheck source=ci/servers.sh
source ci/servers.sh
trap 'servers_stop || true; finish' EXIT
if [ -z "${TEST_POSTGRES_URL:-}" ] || [ -z "${TEST_REDIS_URL:-}" ]; then
  fail "the Deployment needs PostgreSQL and Redis, and they cannot be had"
fi
read -r pg_host pg_port pg_name < <(python3 - "$TEST_POSTGRES_URL" <<'PY'
import sys, urllib.parse
u = urllib.parse.urlsplit(sys.argv[1])
print(u.hostname, u.port, u.path.lstrip("/") or "postgres")
PY
)
redis_port=${TEST_REDIS_URL##*:}
redis_port=${redis_port%%/*}
encoded() { printf '%s' "$1" | base64 -w 0; }
# What a pod reads of a value in `data`. Podman before 4.4 does not decode it.
version=$(command podman version --format '{{.Client.Version}}')
seen() {
  if [ "$(printf '%s\n' 4.4 "$version" | sort -V | head -n 1)" = 4.4 ]; then printf '%s' "$1"; else encoded "$1"; fi
}
random() { head -c 36 /dev/urandom | base64 -w 0 | tr '+/' '-_'; }
database_password=$(random) redis_password=$(random) jwt=$(random) previous=$(random)
"$TEST_POSTGRES_BIN/psql" -q -d "$TEST_POSTGRES_URL" \
  -c "CREATE ROLE \"$(seen app)\" SUPERUSER LOGIN PASSWORD '$(seen "$database_password")'"
redis-cli -p "$redis_port" acl setuser "$(seen app)" on ">$(seen "$redis_password")" '~*' '&*' '+@all' >/dev/null
redis-cli -p "$redis_port" acl setuser default off >/dev/null
{
  cat <<YAML
apiVersion: v1
kind: Secret
metadata: {name: llm-policy-engine-database}
data: {username: "$(encoded app)", password: "$(encoded "$database_password")"}
---
apiVersion: v1
kind: Secret
metadata: {name: llm-policy-engine-redis}
data: {username: "$(encoded app)", password: "$(encoded "$redis_password")"}
---
apiVersion: v1
kind: Secret
metadata: {name: llm-policy-engine-jwt}
data: {secret: "$(encoded "$jwt")", previous-secret: "$(encoded "$previous")"}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: llm-policy-engine-config}
data:
  HOST: 127.0.0.1
  METRICS_HOST: 127.0.0.1
  PORT: "${ports[0]}"
  GRPC_PORT: "${ports[1]}"
  METRICS_PORT: "${ports[2]}"
  DATA_DIR: /var/lib/policyd
  DATABASE_HOST: "$pg_host"
  DATABASE_PORT: "$pg_port"
  DATABASE_NAME: "$pg_name"
  DATABASE_SSL_MODE: disable
  REDIS_HOST: 127.0.0.1
  REDIS_PORT: "$redis_port"
  SHUTDOWN_GRACE: 20s
---
YAML
  # As it is but for the image and the ports, which are free ones of this machine; podman 4.3 asks for `optional`.
  sed -e "s|image: .*|image: $image|" -e '/^ *ports:$/,/^ *readinessProbe:$/{/readinessProbe:/!d}' \
    -e "s|port: metrics|port: ${ports[2]}|" -e 's|^\( *\)secretName: .*|&\n\1optional: false|' k8s/30-deployment.yaml
} >"$work/play.yaml"
podman kube play --network host "$work/play.yaml" >"$work/log" 2>&1 || { cat "$work/log"; fail "podman kube play refused the Deployment"; }
pod=$(podman ps --format '{{.Names}}' | grep -m 1 'policyd$' || true)
[ -n "$pod" ] || { podman ps -a; podman logs "$(podman ps -aq | head -n 1)" 2>&1 | tail -n 20; fail "the Deployment's container does not run"; }
[ "$(podman inspect "$pod" --format '{{.HostConfig.ReadonlyRootfs}}')" = true ] || fail "the root of the Deployment's container can be written"
wait_for 30 curl -sf "http://127.0.0.1:${ports[2]}/livez" || { podman logs "$pod" 2>&1 | tail -n 20; fail "the Deployment's container is not alive"; }
token=$(JWT_SECRET=$(seen "$jwt") "$policyd" token --subject platform --roles admin)
curl -s --fail-with-body -X POST "http://localhost:${ports[0]}/api/v1/policies" -H "Authorization: Bearer $token" -H 'Content-Type: application/yaml' \
  --data-binary @examples/policies/quickstart.yaml >"$work/log" || { cat "$work/log"; fail "the policy was not taken"; }
# Ready only now: without a policy nothing is decided.
wait_for 30 podman exec "$pod" /usr/local/bin/policyd health || { podman logs "$pod" 2>&1 | tail -n 20; fail "the Deployment is never ready"; }
decide "$token" '"decision":"deny","allowed":false' || fail "the Deployment gave another decision"
stopped "$pod"
say "ok: podman kube play runs the Deployment; it decides, and stops with 0"
