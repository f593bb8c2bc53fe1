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
set -euo pipefail
cd "$(dirname "$0")/.."

# POLICYC_DIR: a directory with a `policyc` to use instead of building this one.
if [ -z "${POLICYC_DIR:-}" ]; then
  cargo build --locked --quiet -p policyc
  POLICYC_DIR=${CARGO_TARGET_DIR:-target}/debug
fi
bin=$(cd "$POLICYC_DIR" && pwd)
output=$(mktemp)
trap 'rm -f "$output"' EXIT
mkdir -p target # where blocks put what they write
ran=0 bad=0

# complain FILE LINE MESSAGE
complain() {
  printf '%s:%d: %s\n' "$1" "$2" "$3"
  bad=$((bad + 1))
}

# run FILE LINE STATUS SCRIPT
run() {
  local status=0
  printf '%s:%d: ' "$1" "$2"
  printf '%s' "$4" | head -n 1
  PATH="$bin:$PATH" NO_COLOR=1 bash -euo pipefail -c "$4" >"$output" 2>&1 </dev/null || status=$?
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
          if [ "$mode" = run ]; then
            run "$file" "$start" "$status" "$block"
          else
            printed "$file" "$start" "$block"
          fi
          mode=text
        else
          block+=$line$'\n'
        fi
        ;;
    esac
  done <"$file"
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
