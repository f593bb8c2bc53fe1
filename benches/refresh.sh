#!/bin/sh
# Measures again and writes the tables of docs/performance.md.
#
#   benches/refresh.sh                      every section
#   benches/refresh.sh peers growth         only these: workloads, instructions, peers, growth, primitives
#
# Each section is what one command prints, between `<!-- measured: NAME -->` and `<!-- /measured -->`; what stands around
# them is written by hand and may have to follow. The output is kept in target/measured, with the same numbers as JSON. An
# idle machine needs about five minutes, and a quarter of an hour to build the other engines the first time.
set -eu
cd "$(dirname "$0")/.."
page=docs/performance.md
out="${CARGO_TARGET_DIR:-target}/measured"
mkdir -p "$out"
out=$(cd "$out" && pwd)

peers() {
    cargo run --quiet --release --manifest-path benches/peers/Cargo.toml -- "$@"
}

[ $# -gt 0 ] || set -- workloads instructions peers growth primitives
for section in "$@"; do
    echo "measuring $section …" >&2
    text="$out/$section.md" json="$out/$section.json"
    case $section in
        workloads)
            # The start-up time is that of the program beside this one.
            cargo build --locked --quiet --release -p policyc
            cargo run --locked --quiet --release -p policy-benches -- --json "$json" > "$text"
            ;;
        instructions) CALLGRIND_JSON="$json" benches/callgrind.sh > "$text" ;;
        peers) peers table --json "$json" > "$text" ;;
        growth) peers growth --json "$json" --svg docs/performance/growth.svg > "$text" ;;
        primitives) peers primitives --json "$json" > "$text" ;;
        *) echo "refresh.sh: there is no section $section" >&2 && exit 2 ;;
    esac
    grep -q "^<!-- measured: $section -->\$" "$page" || { echo "refresh.sh: $page has no section $section" >&2 && exit 1; }
    awk -v section="$section" -v file="$text" '
        $0 == "<!-- measured: " section " -->" {
            print; print ""
            while ((getline line < file) > 0) { lines[++count] = line }
            while (count > 0 && lines[count] == "") { count-- }
            for (i = 1; i <= count; i++) { print lines[i] }
            print ""; inside = 1
        }
        inside && $0 == "<!-- /measured -->" { inside = 0 }
        !inside && $0 != "<!-- measured: " section " -->" { print }
    ' "$page" > "$out/page.md"
    cat "$out/page.md" > "$page"
done
