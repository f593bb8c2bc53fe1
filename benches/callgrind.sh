#!/bin/sh
# Instructions per decision of every workload and stage, counted by valgrind: the same on a busy machine.
#
#   benches/callgrind.sh                      a table of all workloads
#   benches/callgrind.sh gateway-20           only these
#
# Profiles are left in target/callgrind for callgrind_annotate. Set CALLGRIND_JSON=FILE to write the counts there too.
set -eu
cd "$(dirname "$0")/.."

if ! command -v valgrind > /dev/null; then
    echo "skipped: valgrind is not installed"
    exit 0
fi
cargo build --quiet --release -p policy-benches --bin hot-path
program="${CARGO_TARGET_DIR:-target}/release/hot-path"
out="${CARGO_TARGET_DIR:-target}/callgrind"
mkdir -p "$out"
"$program" bundles "$out"

# Instructions per decision: those inside the function `measured`, where everything is warm.
count() {
    decisions=$(valgrind --tool=callgrind --collect-atstart=no --toggle-collect='*hot_path::measured*' \
        --callgrind-out-file="$out/$1.$2" "$program" run "$out/$1.bundle" "$1" "$2" "$3" 2> "$out/log")
    total=$(sed -n 's/.*Collected : *//p' "$out/log")
    if [ -z "$total" ] || [ "$total" -eq 0 ]; then
        cat "$out/log" >&2
        echo "callgrind.sh: nothing was counted for $1 $2" >&2
        exit 1
    fi
    echo $((total / decisions))
}

json=""
echo "| workload | response JSON | verdict only | reading the request | hand-written | ratio (verdict) |"
echo "|---|--:|--:|--:|--:|--:|"
for workload in ${*:-quickstart gateway-20 tenants-1k tenants-10k prompt-scan-100}; do
    case $workload in
        quickstart) passes=200 ;;
        tenants-10k | prompt-scan-100) passes=1 ;;
        *) passes=5 ;;
    esac
    response=$(count "$workload" response $passes)
    verdict=$(count "$workload" decide $passes)
    projection=$(count "$workload" projection $passes)
    hand_written=$(count "$workload" hand-written $passes)
    ratio() { echo "$1 $hand_written" | awk '{ printf "%.2f", $1 / $2 }'; }
    echo "| \`$workload\` | $response | $verdict | $projection | $hand_written |" \
        "$(ratio "$response") ($(ratio "$verdict")) |"
    json="$json${json:+,}
  \"$workload\": {\"response\": $response, \"verdict\": $verdict, \"projection\": $projection, \"handWritten\": $hand_written}"
done
if [ -n "${CALLGRIND_JSON:-}" ]; then
    printf '{%s\n}\n' "$json" > "$CALLGRIND_JSON"
fi
