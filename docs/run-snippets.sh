#!/usr/bin/env bash
# Runs the documentation: `docs/run-snippets.sh FILE|DIRECTORY…` executes every shell block that stands below a line
#
#   <!-- run -->            the block has to end with status 0
#   <!-- run exit=1 -->     … or with this one
#
# in a shell of its own, at the root of the repository, with the built `policyc` on the PATH. A block below
#
#   <!-- prints -->
#
# says what the block before it printed: its lines have to occur in the output, in this order; `…` stands for anything.
# A block below
#
#   <!-- serve -->
#
# starts `policyd`; the blocks below it in the same file find it, on ports that are free here whatever they name.
set -euo pipefail
cd "$(dirname "$0")/.."

# POLICYC_DIR: a directory with a `policyc` and a `policyd` to use instead of building these.
if [ -z "${POLICYC_DIR:-}" ]; then
  cargo build --locked --quiet --workspace --bin policyc --bin policyd
  POLICYC_DIR=${CARGO_TARGET_DIR:-target}/debug
fi
bin=$(cd "$POLICYC_DIR" && pwd)
output=$(mktemp) log=$(mktemp)
server='' ports=()
trap 'stop; rm -f "$output" "$log"' EXIT
mkdir -p target # where blocks put what they write
ran=0 bad=0

# complain FILE LINE MESSAGE
complain() {
  printf '%s:%d: %s\n' "$1" "$2" "$3"
  bad=$((bad + 1))
}

stop() {
  if [ -n "$server" ]; then
    kill "$server" 2>/dev/null || true
    wait "$server" 2>/dev/null || true
  fi
  server=''
}

# The script with this machine's server and ports in it.
here() {
  local text=${1//cargo policyd /policyd }
  text=${text//cargo policyc /policyc }
  text=${text//cargo run --release -q -p policyc -- /policyc }
  if [ ${#ports[@]} -eq 3 ]; then
    text=${text//:3000/:${ports[0]}}
    text=${text//:50051/:${ports[1]}}
    text=${text//:9090/:${ports[2]}}
  fi
  printf '%s' "$text"
}

# serve FILE LINE SCRIPT: starts a server, and waits until it is ready.
serve() {
  stop
  mapfile -t ports < <(python3 - <<'PY'
import socket
held = [socket.socket() for _ in range(3)]
for s in held:
    s.bind(("127.0.0.1", 0))
    print(s.getsockname()[1])
PY
  )
  printf '%s:%d: %s\n' "$1" "$2" "${3%%$'\n'*}"
  ran=$((ran + 1))
  PATH="$bin:$PATH" PORT=${ports[0]} GRPC_PORT=${ports[1]} METRICS_PORT=${ports[2]} \
    POLICY_SERVER=http://127.0.0.1:${ports[0]} POLICY_GRPC_SERVER=http://127.0.0.1:${ports[1]} \
    bash -c "exec $(here "$3")" >"$log" 2>&1 </dev/null &
  server=$!
  export POLICY_SERVER=http://127.0.0.1:${ports[0]} POLICY_GRPC_SERVER=http://127.0.0.1:${ports[1]}
  # Ready where it is given policies; without any it is alive and never ready.
  local i state=livez
  case $3 in *--policies* | *--bundle*) state=readyz ;; esac
  for i in $(seq 100); do
    if curl -sf "http://127.0.0.1:${ports[2]}/$state" >/dev/null; then return 0; fi
    sleep 0.1
  done
  complain "$1" "$2" "the server does not answer after $i tries; it printed:"
  sed 's/^/    /' "$log"
}

# run FILE LINE STATUS SCRIPT
run() {
  local status=0
  printf '%s:%d: ' "$1" "$2"
  printf '%s' "$4" | head -n 1
  PATH="$bin:$PATH" NO_COLOR=1 bash -euo pipefail -c "$(here "$4")" >"$output" 2>&1 </dev/null || status=$?
  ran=$((ran + 1))
  if [ "$status" -ne "$3" ]; then
    complain "$1" "$2" "ended with status $status, expected $3; it printed:"
    tail -n 40 "$output" | sed 's/^/    /'
  fi
}

# matches LINE EXPECTED: literal text, with `…` for anything.
matches() {
  local pattern
  pattern=$(printf '%s' "$2" | sed 's/[][\\*?()|@!+]/\\&/g; s/…/*/g')
  # shellcheck disable=SC2053 # the right side is meant as a pattern
  [[ $1 == $pattern ]]
}

# printed FILE LINE TEXT: compares with the output of the last block.
printed() {
  local want line number=$2
  exec 3<"$output"
  while IFS= read -r want; do
    number=$((number + 1))
    want=${want%"${want##*[![:space:]]}"}
    if [ -z "$want" ] || [ "$want" = … ]; then continue; fi
    local found=no
    while IFS= read -r line <&3 || [ -n "$line" ]; do
      line=${line%"${line##*[![:space:]]}"}
      if matches "$line" "$want"; then found=yes && break; fi
    done
    if [ "$found" = no ]; then
      complain "$1" "$number" "the output has no such line here: $want"
      tail -n 40 "$output" | sed 's/^/    /'
      break
    fi
  done <<<"$3"
  exec 3<&-
}

snippets() {
  local file=$1 number=0 mode=text line status=0 start=0 block=''
  while IFS= read -r line || [ -n "$line" ]; do
    number=$((number + 1))
    case $mode in
      text)
        case $line in
          '<!-- run -->') mode=want-run status=0 ;;
          '<!-- run exit='*' -->') mode=want-run status=${line#*exit=} && status=${status% -->} ;;
          '<!-- prints -->') mode=want-prints ;;
          '<!-- serve -->') mode=want-serve ;;
        esac
        ;;
      want-*)
        case $line in
          '```'*) mode=${mode#want-} start=$number block='' ;;
          '') ;;
          *) complain "$file" "$number" "expected a block of code here" && mode=text ;;
        esac
        ;;
      *)
        if [ "$line" = '```' ]; then
          case $mode in
            run) run "$file" "$start" "$status" "$block" ;;
            serve) serve "$file" "$start" "$block" ;;
            *) printed "$file" "$start" "$block" ;;
          esac
          mode=text
        else
          block+=$line$'\n'
        fi
        ;;
    esac
  done <"$file"
  stop
  ports=()
}

for argument in "$@"; do
  if [ -d "$argument" ]; then
    for file in "$argument"/*.md; do snippets "$file"; done
  else
    snippets "$argument"
  fi
done
printf '%d blocks run, %d problems\n' "$ran" "$bad"
[ "$bad" -eq 0 ]
