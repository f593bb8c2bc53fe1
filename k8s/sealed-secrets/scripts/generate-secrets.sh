#!/usr/bin/env bash
# Makes the secrets of a deployment. `--help` says how; ../README.md says what for.
# shellcheck source-path=SCRIPTDIR source=common.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/common.sh"

usage() {
  cat <<EOT
Usage: $program --environment NAME [OPTIONS]

Makes new secrets and writes them to a file that only you can read. seal-secret.sh encrypts them for a cluster.

  --environment NAME     development (dev), staging or production; default development
  --type TYPE            database, redis, jwt or all; default all
  --output FILE          where to; - is standard output; default .env.NAME here, with .json or .yaml behind it for these formats
  --format FORMAT        env, json or yaml; default env
  --length NUMBER        random bytes of each secret, 16 to 256; default 32. The secret of HS256 has at least 32
  --jwt-algorithm NAME   HS256 (a secret), RS256 or ES256 (a pair of keys); default HS256
  --previous FILE        env file of the secrets in use: its JWT_SECRET stays valid beside the new one
  --database-username NAME   default llm_policy_engine
  --redis-username NAME      default default
  --force                replace the output when it exists
  --help, --version

Secrets are bytes of /dev/urandom in base64url without padding, so they need no escapes in a URL. A pair of keys needs openssl.

A file in a git work tree is written only when git ignores it.

Exit status: 0 done, 1 a program is missing, 2 wrong arguments, 3 not written (the file exists, or writing failed), 4 no random
bytes or keys, 5 not permitted (no permission, or git would take the file).
EOT
}

environment=development type=all output='' format=env length=32 algorithm=HS256 previous='' force=''
database_username=llm_policy_engine redis_username=default

split "$@"
set -- ${arguments[@]+"${arguments[@]}"}
while [ $# -gt 0 ]; do
  case $1 in
  --force)
    force=1
    shift
    ;;
  --environment | --type | --output | --format | --length | --jwt-algorithm | --previous | --database-username | --redis-username)
    value_of "$@"
    case $1 in
    --environment) environment=$2 ;;
    --type) type=$2 ;;
    --output) output=$2 ;;
    --format) format=$2 ;;
    --length) length=$2 ;;
    --jwt-algorithm) algorithm=$2 ;;
    --previous) previous=$2 ;;
    --database-username) database_username=$2 ;;
    --redis-username) redis_username=$2 ;;
    esac
    shift 2
    ;;
  *) other_argument "$1" ;;
  esac
done

case $environment in
dev) environment=development ;;
development | staging | production) ;;
*) wrong_usage "--environment is development, staging or production, not $environment" ;;
esac
case $type in database | redis | jwt | all) ;; *) wrong_usage "--type is database, redis, jwt or all, not $type" ;; esac
case $format in env | json | yaml) ;; *) wrong_usage "--format is env, json or yaml, not $format" ;; esac
case $algorithm in HS256 | RS256 | ES256) ;; *) wrong_usage "--jwt-algorithm is HS256, RS256 or ES256, not $algorithm" ;; esac
[[ $length =~ ^[1-9][0-9]{1,2}$ ]] && [ "$length" -ge 16 ] && [ "$length" -le 256 ] ||
  wrong_usage "--length is a number of bytes from 16 to 256, not $length"
for username in "$database_username" "$redis_username"; do
  [[ $username =~ ^[A-Za-z0-9_.-]{1,63}$ ]] || wrong_usage "a user name has letters, digits, _, . and -, not $username"
done
if [ -n "$previous" ]; then
  case $type in jwt | all) ;; *) wrong_usage "--previous needs --type jwt or all" ;; esac
  [ "$algorithm" = HS256 ] || wrong_usage "--previous needs --jwt-algorithm HS256: $algorithm has no secret"
fi
if [ -z "$output" ]; then
  output=.env.$environment
  [ "$format" = env ] || output+=.$format
fi

need 1 head base64 tr
if [ "$algorithm" != HS256 ] && [ "$type" != database ] && [ "$type" != redis ]; then need 1 openssl; fi

# Before anything is made, whether it may be written.
if [ "$output" != - ]; then
  directory=$(dirname -- "$output")
  [ -d "$directory" ] || fail 3 "there is no directory $directory"
  if [ -e "$output" ] && [ ! -f "$output" ]; then fail 3 "$output is no ordinary file; - is standard output"; fi
  [ -w "$directory" ] || fail 5 "no permission to write in $directory"
  if git_would_take "$output"; then
    fail 5 "git would take $output with the secrets in it: add it to .gitignore, or write outside of the repository"
  fi
  if [ -z "$force" ] && { [ -e "$output" ] || [ -L "$output" ]; }; then
    fail 3 "$output exists; --force replaces it, and what it says is lost then"
  fi
fi

# random BYTES: sets `made` to as many random bytes in base64url without padding.
random() {
  made=$(head -c "$1" /dev/urandom | base64 | tr -d '=\n' | tr '+/' '-_') || fail 4 "the system gives no random bytes"
  [ ${#made} -eq $((($1 * 8 + 5) / 6)) ] || fail 4 "the system gives too few random bytes"
}

names=() values=()
add() {
  names+=("$1") values+=("$2")
}

case $type in database | all)
  random "$length"
  add DATABASE_USERNAME "$database_username"
  add DATABASE_PASSWORD "$made"
  ;;
esac
case $type in redis | all)
  random "$length"
  add REDIS_USERNAME "$redis_username"
  add REDIS_PASSWORD "$made"
  ;;
esac
case $type in jwt | all)
  if [ "$algorithm" = HS256 ]; then
    found=''
    if [ -n "$previous" ]; then
      need 1 iconv
      read_env "$previous"
      env_value JWT_SECRET && [ -n "$found" ] || fail 3 "$previous has no JWT_SECRET"
      if [[ $found =~ [[:cntrl:]] ]]; then fail 3 "$previous: there is a control character in JWT_SECRET"; fi
    fi
    random "$((length < 32 ? 32 : length))"
    add JWT_ALGORITHM HS256
    add JWT_SECRET "$made"
    add JWT_SECRET_PREVIOUS "$found"
  else
    if [ "$algorithm" = RS256 ]; then
      options=(-algorithm RSA -pkeyopt rsa_keygen_bits:3072)
    else
      options=(-algorithm EC -pkeyopt ec_paramgen_curve:P-256 -pkeyopt ec_param_enc:named_curve)
    fi
    private=$(openssl genpkey "${options[@]}" 2>/dev/null) || fail 4 "openssl makes no key"
    public=$(printf '%s\n' "$private" | openssl pkey -pubout 2>/dev/null) || fail 4 "openssl makes no public key"
    add JWT_ALGORITHM "$algorithm"
    add JWT_PUBLIC_KEY_BASE64 "$(printf '%s\n' "$public" | base64 | tr -d '\n')"
    add JWT_PRIVATE_KEY_BASE64 "$(printf '%s\n' "$private" | base64 | tr -d '\n')"
  fi
  ;;
esac

render() {
  local index value comma=''
  case $format in
  env) echo "# Secrets of llm-policy-engine, $environment, in the clear: not for git. seal-secret.sh reads this file." ;;
  json) printf '{' ;;
  yaml) echo "# Secrets of llm-policy-engine, $environment, in the clear: not for git." ;;
  esac
  for ((index = 0; index < ${#names[@]}; index++)); do
    value=${values[index]}
    if [ "$format" = env ]; then
      # Only what was there before can need quotes.
      [[ $value =~ ^[A-Za-z0-9_.+/=-]*$ ]] || value="'$value'"
      printf '%s=%s\n' "${names[index]}" "$value"
      continue
    fi
    value=${value//\\/$'\\\\'}
    value=${value//'"'/'\"'}
    if [ "$format" = json ]; then
      printf '%s\n  "%s": "%s"' "$comma" "${names[index]}" "$value"
      comma=,
    else
      printf '%s: "%s"\n' "${names[index]}" "$value"
    fi
  done
  if [ "$format" = json ]; then printf '\n}\n'; fi
}

if [ "$output" = - ]; then
  render || fail 3 "standard output cannot be written"
  exit 0
fi
target=$output
if [ -n "$force" ]; then
  target=$(mktemp -- "$directory/.env.XXXXXX") || fail 3 "cannot write in $directory"
  trap 'rm -f -- "$target"' EXIT
else
  # What appeared meanwhile is not written over, nor written through.
  set -C
  { : >"$output"; } 2>/dev/null || fail 3 "cannot make $output"
  set +C
  trap 'rm -f -- "$output"' EXIT
fi
render >"$target" || fail 3 "cannot write $output"
if [ -n "$force" ]; then mv -f -- "$target" "$output" || fail 3 "cannot replace $output"; fi
trap - EXIT
say "wrote ${names[*]} to $output"
