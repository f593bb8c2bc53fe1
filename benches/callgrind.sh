#!/bin/sh
# Instructions per decision of every workload and stage, counted by valgrind: the same on a busy machine.
#
#   benches/callgrind.sh                 a table of all workloads, as in docs/performance.md
#   benches/callgrind.sh gateway-20      only these
#   benches/callgrind.sh --check         holds our stages against benches/callgrind.tsv: 3 % more than there is an error
#   benches/callgrind.sh --record        counts all and writes benches/callgrind.tsv
#
# Counts depend on the compiler and on the vector instructions of the processor, so the file names both, and --check ends
# with 77 and says why where they differ or valgrind is missing. Fewer instructions than recorded are no error, but a
# reason to record. Profiles are left in target/callgrind for callgrind_annotate. CALLGRIND_JSON=FILE writes the counts
# there too.
set -eu
cd "$(dirname "$0")/.."
recorded=benches/callgrind.tsv
tolerance=3

mode=table
case ${1:-} in
    --check | --record) mode=${1#--} && shift ;;
esac
[ $# -gt 0 ] || set -- quickstart gateway-20 tenants-1k tenants-10k prompt-scan-100

skip() {
    echo "skipped: $1"
    [ "$mode" = table ] && exit 0
    exit 77
}
command -v valgrind > /dev/null || skip "valgrind is not installed"
here="$(rustc --version), $(uname -m)$(grep -qsw avx2 /proc/cpuinfo && echo ' avx2')"
if [ "$mode" = check ]; then
    [ -f "$recorded" ] || skip "there is no $recorded; benches/callgrind.sh --record writes it"
    there=$(sed -n 's/^# //p' "$recorded" | head -n 1)
    [ "$here" = "$there" ] || skip "recorded with $there, this is $here; benches/callgrind.sh --record"
fi

# With its symbols: counting begins at a function.
CARGO_PROFILE_RELEASE_STRIP=none cargo build --locked --quiet --release -p policy-benches --bin hot-path
program="${CARGO_TARGET_DIR:-target}/release/hot-path"
out="${CARGO_TARGET_DIR:-target}/callgrind"
mkdir -p "$out"
"$program" bundles "$out"

# count WORKLOAD STAGE PASSES: instructions per decision, those inside the function `measured`, where everything is warm.
count() {
    decisions=$(valgrind --tool=callgrind --collect-atstart=no --toggle-collect='*hot_path::measured*' \
        --callgrind-out-file="$out/$1.$2" "$program" run "$out/$1.bundle" "$1" "$2" "$3" 2> "$out/log.$1.$2")
    total=$(sed -n 's/.*Collected : *//p' "$out/log.$1.$2")
    if [ -z "$total" ] || [ "$total" -eq 0 ]; then
        cat "$out/log.$1.$2" >&2
        echo "callgrind.sh: nothing was counted for $1 $2" >&2
        exit 1
    fi
    echo $((total / decisions))
}

passes() {
    case $1 in
        quickstart) echo 200 ;;
        tenants-10k | prompt-scan-100) echo 1 ;;
        *) echo 5 ;;
    esac
}

check() {
    failed=0
    for workload in "$@"; do
        column=2
        for stage in response decide projection; do
            was=$(awk -F '\t' -v name="$workload" -v column=$column '$1 == name { print $column }' "$recorded")
            now=$(count "$workload" "$stage" "$(passes "$workload")")
            column=$((column + 1))
            if [ -z "$was" ]; then
                echo "$workload $stage: $now, not recorded"
                failed=1
            elif [ $((now * 100)) -gt $((was * (100 + tolerance))) ]; then
                echo "$workload $stage: $now instructions, $was were recorded: more than $tolerance % over"
                failed=1
            elif [ $((now * (100 + tolerance))) -lt $((was * 100)) ]; then
                echo "$workload $stage: $now instructions, $was were recorded: a gain worth recording"
            else
                echo "$workload $stage: $now instructions"
            fi
        done
    done
    if [ $failed -ne 0 ]; then
        echo "Where the change is worth it: benches/callgrind.sh --record, and say why in the commit."
    fi
    return $failed
}

if [ "$mode" = check ]; then
    check "$@"
    exit
fi

rows="" json=""
echo "| workload | response JSON | verdict only | reading the request | hand-written | ratio (verdict) |"
echo "|---|--:|--:|--:|--:|--:|"
for workload in "$@"; do
    times=$(passes "$workload")
    response=$(count "$workload" response "$times")
    verdict=$(count "$workload" decide "$times")
    projection=$(count "$workload" projection "$times")
    hand_written=$(count "$workload" hand-written "$times")
    ratio() { echo "$1 $hand_written" | awk '{ printf "%.2f", $1 / $2 }'; }
    echo "| \`$workload\` | $response | $verdict | $projection | $hand_written |" \
        "$(ratio "$response") ($(ratio "$verdict")) |"
    rows="$rows$workload	$response	$verdict	$projection	$hand_written
"
    json="$json${json:+,}
  \"$workload\": {\"response\": $response, \"verdict\": $verdict, \"projection\": $projection, \"handWritten\": $hand_written}"
done
if [ "$mode" = record ]; then
    {
        echo "# $here"
        echo "# Instructions per decision; benches/callgrind.sh --record writes this file, --check reads it."
        printf 'workload\tresponse\tverdict\tprojection\thand-written\n%s' "$rows"
    } > "$recorded"
fi
if [ -n "${CALLGRIND_JSON:-}" ]; then
    printf '{%s\n}\n' "$json" > "$CALLGRIND_JSON"
fi
