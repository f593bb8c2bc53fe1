#!/usr/bin/env bash
# Everything that must hold before a change goes in, in one command: `./ci.sh`.
#
# Needs Rust (see `rust-version` in Cargo.toml) and apt for what is missing of a linker, PostgreSQL and Redis. Databases are
# started on loopback, on free ports, and stopped at the end. Steps run to the end even when one
# fails; the summary names what failed and what was skipped, and why. `./ci.sh NAME…` runs only the steps of these names.
set -euo pipefail
cd "$(dirname "$0")"

export CARGO_TERM_COLOR="${CARGO_TERM_COLOR:-auto}"
export INSTA_UPDATE=no
wanted=("$@")
passed=() failed=() skipped=()
begin=$SECONDS

wants() {
  [ ${#wanted[@]} -eq 0 ] && return 0
  local name
  for name in "${wanted[@]}"; do [ "$name" = "$1" ] && return 0; done
  return 1
}

# step NAME COMMAND…: runs it and notes how it went.
step() {
  local name=$1 from=${since:-$SECONDS}
  shift
  wants "$name" || return 0
  printf '\n=== %s: %s\n' "$name" "$*"
  if "$@"; then
    printf '=== %s: ok, %d s\n' "$name" $((SECONDS - from))
    passed+=("$name")
  else
    printf '=== %s: FAILED, %d s\n' "$name" $((SECONDS - from))
    failed+=("$name")
  fi
}

skip() {
  wants "$1" || return 0
  printf '\n=== %s: skipped, %s\n' "$1" "$2"
  skipped+=("$1 ($2)")
}

# may_skip NAME COMMAND…: a step whose command ends with 77 where it cannot be run, and says why in its last line.
may_skip() {
  local name=$1 since=$SECONDS status=0 output
  shift
  wants "$name" || return 0
  output=$("$@" 2>&1 | tee -a /dev/stderr; exit "${PIPESTATUS[0]}") || status=$?
  if [ "$status" -eq 77 ]; then
    output=$(tail -n 1 <<<"$output")
    skip "$name" "${output#skipped: }"
  else
    step "$name" test "$status" -eq 0
  fi
}

# takes_long NAME COMMAND…: as `may_skip`, but only where it is asked for: by name, or with LONG=1.
takes_long() {
  if [ -n "${LONG:-}" ] || [ ${#wanted[@]} -gt 0 ]; then
    may_skip "$@"
  else
    skip "$1" "takes minutes: ./ci.sh $1"
  fi
}

# A Rust component that may be missing: installed where rustup can download it.
component() {
  cargo "$1" --version >/dev/null 2>&1 && return 0
  command -v rustup >/dev/null || return 1
  timeout 120 rustup component add "$2" >/dev/null 2>&1 || return 1
  cargo "$1" --version >/dev/null 2>&1
}

command -v cargo >/dev/null || { echo "ci.sh: cargo is not on the PATH; install Rust first" >&2; exit 2; }
# A linker, and a C++ compiler for the run time of the fuzz targets.
if ! command -v cc >/dev/null || ! command -v c++ >/dev/null; then
  echo "ci.sh: no C or C++ compiler found, installing gcc and g++ with apt"
  as_root=()
  [ "$(id -u)" -eq 0 ] || as_root=(sudo)
  "${as_root[@]}" apt-get update -qq
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends gcc g++ libc6-dev
fi
cargo --version

# Built with the whole workspace: dependencies keep the features that they were built with before.
policyc() {
  cargo build --locked --quiet --workspace --bin policyc && "${CARGO_TARGET_DIR:-target}/debug/policyc" "$@"
}
xtask() { cargo build --locked --quiet --workspace --bin xtask && "${CARGO_TARGET_DIR:-target}/debug/xtask" "$@"; }
rustdoc_step() { RUSTDOCFLAGS="-D warnings" cargo doc --locked --workspace --no-deps --quiet; }

# Tools of the step `k8s` come over the network while others run.
if wants k8s; then
  ci/k8s.sh --tools >/dev/null 2>&1 &
  k8s_tools=$!
fi

if component fmt rustfmt; then
  step fmt cargo fmt --all --check
  step fmt-peers cargo fmt --manifest-path benches/peers/Cargo.toml --check
else
  skip fmt "rustfmt is not installed and cannot be downloaded"
fi
if component clippy clippy; then
  step clippy cargo clippy --locked --workspace --all-targets --quiet -- -D warnings
else
  skip clippy "clippy is not installed and cannot be downloaded"
fi
step build cargo build --locked --workspace
# Unit, integration and documentation tests, with real databases.
tests_step() { REQUIRE_SERVERS=1 ci/servers.sh cargo test --locked --workspace --no-fail-fast; }
step tests tests_step
step rustdoc rustdoc_step
# The first command of the README as a fresh clone runs it, and what that build leaves out.
quick_step() {
  local said status=0
  said=$(cargo policyc eval examples/policies/quickstart.yaml --context @examples/context.json) || return 1
  printf '%s\n' "$said"
  [[ $said == ALLOW* ]] || return 1
  said=$(cargo policyc list --server https://localhost:1 2>&1) || status=$?
  printf '%s\n' "$said"
  [ "$status" -eq 2 ] && [[ $said == *'without TLS'* ]]
}
step quick quick_step
step tidy xtask tidy
step generated xtask gen --check
# Generated requests against the OpenAPI document: no server error, and every answer as described. Ends with 77 where the
# tool cannot be installed.
may_skip schemathesis ci/schemathesis.sh
# Segments of the decision log, read by DuckDB.
may_skip parquet ci/parquet.sh
# Segments in buckets: S3 (moto) and Azure (azurite), killed, frozen, damaged.
may_skip buckets ci/buckets.sh
# Webhooks against the implementation of the Standard Webhooks project. Ends with 77 where it cannot be installed.
may_skip webhooks ci/webhooks.sh
# Licences and sources of dependencies; advisories where the database can be fetched.
if cargo deny --version >/dev/null 2>&1; then
  step licences cargo deny --locked --offline check licenses bans sources
  if timeout 60 git ls-remote -q https://github.com/RustSec/advisory-db >/dev/null 2>&1; then
    step advisories cargo deny --locked check advisories
  else
    skip advisories "the advisory database cannot be reached"
  fi
else
  skip licences "cargo-deny is not installed (cargo install cargo-deny)"
  skip advisories "cargo-deny is not installed (cargo install cargo-deny)"
fi
step policy-check policyc check --strict examples/policies
step policy-fmt policyc fmt --check examples/policies
step policy-tests policyc test examples/policies --coverage=condition --min-coverage 100
step snippets docs/run-snippets.sh README.md CONTRIBUTING.md examples/README.md docs

# Instructions per decision against the recorded ones: a regression shows on a busy machine too. Ends with 77 where counts
# would not compare. Other engines (benches/peers) are not built here: their 600 dependencies take a quarter of an hour.
if ! command -v valgrind >/dev/null && [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null && wants instructions; then
  { timeout 60 apt-get update -qq &&
    timeout 120 env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends valgrind; } >/dev/null 2>&1 || true
fi
may_skip instructions benches/callgrind.sh --check

# The manifests for Kubernetes: rendered, valid for each version, without known mistakes, equal to the chart. Ends with 77 where
# no tool can be had.
if wants k8s; then wait "$k8s_tools" || true; fi
may_skip k8s ci/k8s.sh
# The image on the program that was just built, and the Deployment in it. `ci/image.sh` alone builds the whole Dockerfile, which
# takes as long as an optimised build. Ends with 77 where no engine can be had.
image_step() {
  cargo build --locked --quiet --workspace --bins &&
    ci/image.sh --program "${CARGO_TARGET_DIR:-target}/debug/policy-engine"
}
may_skip image image_step
# Scripts and manifests of sealed secrets. Ends with 77 where the tools cannot be installed.
may_skip sealed-secrets ci/sealed-secrets.sh
step snippets-sealed-secrets docs/run-snippets.sh k8s/sealed-secrets

# Three servers behind Envoy, restarted, killed and with frozen databases, and through PgBouncer. Ends with 77 where Envoy
# cannot be had.
takes_long many ci/many.sh
# A receiver of webhooks that is away for ten minutes, in time. Ends with 77 where `standardwebhooks` cannot be installed.
takes_long webhooks-away ci/webhooks.sh "${WEBHOOKS_AWAY:-600}"
# A replay of 20,000 decisions on Spark, against `policyc diff`. Ends with 77 without Java or PySpark, of 500 MB.
takes_long spark ci/spark.sh

# The fuzz targets stay compilable; running them is a matter of minutes and of nightly (conformance/fuzz/README.md).
step fuzz-check cargo check --locked --quiet --manifest-path conformance/fuzz/Cargo.toml --target-dir target/fuzz-check

printf '\n=== summary, %d s\n' $((SECONDS - begin))
printf 'passed:  %s\n' "${passed[*]:-none}"
for s in "${skipped[@]:-}"; do [ -z "$s" ] || printf 'skipped: %s\n' "$s"; done
for f in "${failed[@]:-}"; do [ -z "$f" ] || printf 'FAILED:  %s\n' "$f"; done
if [ ${#passed[@]} -eq 0 ] && [ ${#skipped[@]} -eq 0 ] && [ ${#failed[@]} -eq 0 ]; then
  echo "ci.sh: no step of that name" >&2
  exit 2
fi
[ ${#failed[@]} -eq 0 ]
