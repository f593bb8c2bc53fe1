# shellcheck shell=bash disable=SC2034
# What the scripts of this folder share. Sourced by them, never run; they use what is set here.
#
# Values of secrets are handled by builtins of bash and by pipes alone: what is an argument of a program can be read by everybody on
# the machine. Nothing here prints a value.

# As a trace would print the values, it is off even under `bash -x`; and no variable is exported, whatever SHELLOPTS says, and whatever
# the caller exports: of the names in small letters, which are ours, only those of proxies (`https_proxy`) are for programs.
set +axv
set -euo pipefail
for name in $(compgen -e); do
  # shellcheck disable=SC2163 # the variable of this name
  case $name in *_proxy | *[!a-z_]*) ;; *) export -n "$name" ;; esac
done
# Files are the user's alone.
umask 077
# Lengths are bytes.
export LC_ALL=C
# Which repository a file is in follows from where it is.
unset GIT_DIR GIT_WORK_TREE GIT_INDEX_FILE

# As in Cargo.toml.
version=0.1.0
program=$(basename -- "$0")
here=$(cd -P -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
folder=$(dirname -- "$here")

say() { printf '%s: %s\n' "$program" "$*" >&2; }

# fail STATUS MESSAGE…
fail() {
  local status=$1
  shift
  say "$*"
  exit "$status"
}

wrong_usage() { fail 2 "$* (--help says more)"; }

# value_of FLAG VALUE…: whether a flag has its value. No name of a file has a line feed in it: `$(…)` loses those at an end, and what is
# looked at would be another file than the one that is written.
value_of() {
  if [ $# -lt 2 ] || [ -z "$2" ]; then wrong_usage "$1 needs a value"; fi
  if [[ $2 =~ [[:cntrl:]] ]]; then wrong_usage "there is a control character in the value of $1"; fi
}

# other_argument ARGUMENT: what every script takes; all else is wrong. Each script has its own `usage`.
other_argument() {
  case $1 in
  --help | -h)
    usage
    exit 0
    ;;
  --version)
    echo "$program $version"
    exit 0
    ;;
  *) wrong_usage "unknown argument $1" ;;
  esac
}

# split ARGUMENT…: sets `arguments`, with --flag=value as two of them.
split() {
  local argument
  arguments=()
  for argument in "$@"; do
    case $argument in
    --*=*) arguments+=("${argument%%=*}" "${argument#*=}") ;;
    *) arguments+=("$argument") ;;
    esac
  done
}

# need STATUS PROGRAM…: that they are there.
need() {
  local status=$1 name
  shift
  for name in "$@"; do
    command -v -- "$name" >/dev/null || fail "$status" "the program $name is not on the PATH"
  done
}

# find_policyd STATUS: sets `policyd`.
find_policyd() {
  local candidate
  if [ -n "${POLICYD:-}" ]; then
    policyd=$(command -v -- "$POLICYD") || fail "$1" "POLICYD names no program: $POLICYD"
    return
  fi
  for candidate in policyd "$folder/../../target/release/policyd" "$folder/../../target/debug/policyd"; do
    if policyd=$(command -v -- "$candidate"); then return; fi
  done
  fail "$1" "policyd is not there: put it on the PATH, name it in POLICYD, or build it with" \
    "\`cargo build --release -p policy-server\`"
}

# git_would_take FILE: whether git would add the file to a repository. What git cannot say counts as yes.
git_would_take() {
  local directory up
  directory=$(cd -P -- "$(dirname -- "$1")" && pwd)
  up=$directory
  until [ -e "$up/.git" ]; do
    if [ "$up" = / ]; then return 1; fi
    up=$(dirname -- "$up")
  done
  ! git -C "$directory" check-ignore -q -- "$(basename -- "$1")" 2>/dev/null
}

# read_env FILE: sets `env_names` and `env_values` to what the lines NAME=value of a file say. A value in quotes is what stands between
# them; nothing is expanded, and a backslash is a backslash.
read_env() {
  local file=$1 content line name value known number=0
  env_names=() env_values=()
  if [ -d "$file" ] || [ ! -r "$file" ]; then fail 5 "cannot read $file"; fi
  if IFS= read -r -d '' content <"$file"; then fail 3 "$file: there is a NUL in it"; fi
  printf '%s' "$content" | iconv -f UTF-8 -t UTF-8 >/dev/null 2>&1 || fail 3 "$file: it is not UTF-8"
  while IFS= read -r line; do
    number=$((number + 1))
    line=${line%$'\r'}
    line=${line#"${line%%[! $'\t']*}"}
    case $line in '' | '#'*) continue ;; esac
    line=${line#export }
    [[ $line =~ ^[A-Za-z_][A-Za-z0-9_]*= ]] || fail 3 "$file: line $number is not NAME=value"
    name=${line%%=*} value=${line#*=}
    case $value in
    \"*\" | \'*\')
      if [ ${#value} -lt 2 ]; then fail 3 "$file: line $number: the quote is not closed on the line"; fi
      value=${value:1:${#value}-2}
      ;;
    \"* | \'*) fail 3 "$file: line $number: the quote is not closed on the line" ;;
    esac
    for known in ${env_names[@]+"${env_names[@]}"}; do
      if [ "$known" = "$name" ]; then fail 3 "$file: line $number: $name is there twice"; fi
    done
    env_names+=("$name") env_values+=("$value")
  done < <(printf '%s\n' "$content")
}

# env_value NAME: sets `found` to the value of a name, and fails where there is none.
env_value() {
  local index
  for ((index = 0; index < ${#env_names[@]}; index++)); do
    if [ "${env_names[index]}" = "$1" ]; then
      found=${env_values[index]}
      return 0
    fi
  done
  found=''
  return 1
}
