#!/usr/bin/env bash
# Checks sealed secrets before they go to git or to a cluster. `--help` says how; `policyd check-sealed` does it.
# shellcheck source-path=SCRIPTDIR source=common.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/common.sh"

usage() {
  cat <<EOT
Usage: $program (FILE… | --all) [OPTIONS]

Checks manifests of SealedSecrets, without a cluster and without a key: that each value is built as the controller expects, is bound to
the name and the namespace of its secret, and that the pods read the secret under these keys.

  FILE…         manifests
  --all         all manifests in and below $folder:
                one for each secret that the pods read, and no plain Secret anywhere
  --pods FILE   manifests of the pods that read the secrets, or a directory of them; may be repeated; default ../../*.yaml
  --strict      warnings count as errors: keys that no pod reads, secrets without a manifest
  --ci          print what is wrong as annotations of GitHub Actions
  --json        print one JSON document: {"valid": …, "files": [{"file", "secrets", "problems": [{"severity", "message"}]}]}
  --help, --version

Exit status: 0 nothing is wrong, 1 something is, 2 wrong arguments, 3 not checked: a file cannot be read, there is none, or policyd
is not there.
EOT
}

all='' strict='' format=text
files=() pods=()
split "$@"
set -- ${arguments[@]+"${arguments[@]}"}
while [ $# -gt 0 ]; do
  case $1 in
  --all) all=1 ;;
  --strict) strict=1 ;;
  --ci) [ "$format" = json ] || format=github ;;
  --json) format=json ;;
  --pods)
    value_of "$@"
    pods+=(--pods "$2")
    shift
    ;;
  -?*) other_argument "$1" ;;
  *) files+=("$1") ;;
  esac
  shift
done
if [ -n "$all" ] && [ ${#files[@]} -gt 0 ]; then wrong_usage "--all takes no files"; fi
if [ -z "$all" ] && [ ${#files[@]} -eq 0 ]; then wrong_usage "what to check is missing: files, or --all"; fi
if [ ${#pods[@]} -eq 0 ]; then pods=(--pods "$(dirname -- "$folder")"); fi
[ -z "$all" ] || files=(--all "${folder#"$PWD"/}")

find_policyd 3
exec "$policyd" check-sealed "${pods[@]}" --format "$format" ${strict:+--deny-warnings} "${files[@]}"
