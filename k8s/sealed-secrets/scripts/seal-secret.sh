#!/usr/bin/env bash
# Encrypts a secret for the controller of a cluster. `--help` says how; ../README.md says what for.
# shellcheck source-path=SCRIPTDIR source=common.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/common.sh"

usage() {
  cat <<EOT
Usage: $program --template NAME (--env-file FILE | --interactive) [OPTIONS]

Encrypts a secret of the policy engine for the Sealed Secrets controller of a cluster. The result may be committed to git.

  --template NAME              database, redis or jwt: what ../templates has
  --env-file FILE              the values, as generate-secrets.sh writes them
  --interactive                ask for the values, without showing them
  --cert FILE                  certificate of the controller; default \$SEALED_SECRETS_CERT, then ../controller-cert.pem. Where
                               neither is there it is fetched from the cluster and kept in that file
  --fetch-cert                 fetch the certificate anew
  --controller-name NAME       default sealed-secrets-controller
  --controller-namespace NAME  default kube-system
  --output FILE                default ../manifests/NAME-sealedsecret.yaml; - is standard output
  --dry-run                    print the result and write nothing; never uses the network
  --apply                      apply the result to the cluster; asks first
  --confirm                    do not ask: apply
  --verbose, --debug           say what is done; --debug also which programs are run. Neither shows a value
  --help, --version

Uses kubeseal where it is on the PATH, else \`policyd seal\`.

Exit status: 0 done, 1 a program is missing, 2 wrong arguments, 3 a value, the template or the certificate is refused, 4 the cluster
does not answer or refuses, 5 a file cannot be read or written.
EOT
}

template='' env_file='' interactive='' cert='' fetch='' output='' dry_run='' apply='' confirm='' level=0
controller=sealed-secrets-controller controller_namespace=kube-system

split "$@"
set -- ${arguments[@]+"${arguments[@]}"}
while [ $# -gt 0 ]; do
  case $1 in
  --interactive | --fetch-cert | --dry-run | --apply | --confirm | --verbose | --debug)
    case $1 in
    --interactive) interactive=1 ;;
    --fetch-cert) fetch=1 ;;
    --dry-run) dry_run=1 ;;
    --apply) apply=1 ;;
    --confirm) confirm=1 ;;
    --verbose) level=$((level > 1 ? level : 1)) ;;
    --debug) level=2 ;;
    esac
    shift
    ;;
  --template | --env-file | --cert | --controller-name | --controller-namespace | --output)
    value_of "$@"
    case $1 in
    --template) template=$2 ;;
    --env-file) env_file=$2 ;;
    --cert) cert=$2 ;;
    --controller-name) controller=$2 ;;
    --controller-namespace) controller_namespace=$2 ;;
    --output) output=$2 ;;
    esac
    shift 2
    ;;
  *) other_argument "$1" ;;
  esac
done

case $template in
database | redis | jwt) ;;
'') wrong_usage "--template is missing: database, redis or jwt" ;;
*) wrong_usage "--template is database, redis or jwt, not $template" ;;
esac
if [ -n "$env_file" ] && [ -n "$interactive" ]; then wrong_usage "--env-file and --interactive exclude each other"; fi
if [ -z "$env_file" ] && [ -z "$interactive" ]; then wrong_usage "the values are missing: --env-file or --interactive"; fi
if [ -n "$dry_run" ] && [ -n "$apply$fetch" ]; then wrong_usage "--dry-run uses no network: not with --apply or --fetch-cert"; fi
if [ -n "$cert" ] && [ -n "$fetch" ]; then wrong_usage "--cert and --fetch-cert exclude each other"; fi
if [ -n "$confirm" ] && [ -z "$apply" ]; then wrong_usage "--confirm needs --apply"; fi
if [ -n "$apply" ] && [ "$output" = - ]; then wrong_usage "--apply needs a file as --output"; fi
if [ -n "$apply" ] && [ -z "$confirm" ] && [ ! -t 0 ]; then wrong_usage "--apply changes the cluster: add --confirm"; fi
for name in "$controller" "$controller_namespace"; do
  [[ $name =~ ^[a-z0-9]([a-z0-9-]*[a-z0-9])?$ ]] || wrong_usage "no name of Kubernetes: $name"
done
[ -n "$output" ] || output=$folder/manifests/$template-sealedsecret.yaml

verbose() { if [ "$level" -ge 1 ]; then say "$*"; fi; }
debug() { if [ "$level" -ge 2 ]; then say "runs: $*"; fi; }

need 1 base64 tr iconv fold sort wc
if [ -n "$apply" ]; then need 1 kubectl; fi
if command -v kubeseal >/dev/null; then policyd=''; else find_policyd 1; fi

# Values first: nothing is asked of a cluster for the sake of values that are refused.
if [ -n "$env_file" ]; then
  read_env "$env_file"
  verbose "reads the values from $env_file"
fi
source=$folder/templates/$template.yaml
if [ "$template" = jwt ] && [ -n "$env_file" ] && env_value JWT_PUBLIC_KEY_BASE64; then
  if env_value JWT_SECRET; then fail 3 "$env_file has JWT_SECRET and JWT_PUBLIC_KEY_BASE64: a deployment reads one of them"; fi
  source=$folder/templates/jwt-public-key.yaml
fi
[ -r "$source" ] || fail 5 "cannot read $source"
verbose "fills in $source"

# take NAME: sets `found` to the value of a name.
take() {
  local again
  if [ -n "$env_file" ]; then
    env_value "$1" || [ "$1" = JWT_SECRET_PREVIOUS ] || fail 3 "$env_file has no $1"
    return 0
  fi
  if [ -t 0 ]; then printf '%s: ' "$1" >&2; fi
  case $1 in
  *_USERNAME) IFS= read -r found || fail 3 "no value for $1" ;;
  *)
    IFS= read -r -s found || fail 3 "no value for $1"
    if [ -t 0 ]; then
      printf '\nagain: ' >&2
      IFS= read -r -s again || fail 3 "no value for $1"
      printf '\n' >&2
      [ "$found" = "$again" ] || fail 3 "$1 was typed in two ways"
    fi
    ;;
  esac
}

# at_least BYTES NAME VALUE: that a secret cannot be guessed.
at_least() {
  local different
  if [ ${#3} -lt "$1" ]; then fail 3 "$2 is too short: at least $1 bytes"; fi
  different=$(printf '%s' "$3" | tr '\n' ' ' | fold -b -w 1 | sort -u | wc -l)
  if [ "$different" -lt 8 ]; then fail 3 "$2 is easy to guess: fewer than 8 different characters"; fi
}

# check NAME VALUE: refuses what is no secret.
check() {
  # Names with _PREVIOUS may be empty: there is none.
  # shellcheck disable=SC2016 # a dollar sign, not a variable
  case $1:$2 in
  *_PREVIOUS:) return 0 ;;
  *:) fail 3 "$1 is empty" ;;
  *:'<'*'>' | *:'${'*'}' | *:*[Cc][Hh][Aa][Nn][Gg][Ee]*[Mm][Ee]*) fail 3 "$1 is a placeholder" ;;
  esac
  if [[ $2 =~ [[:cntrl:]] ]]; then fail 3 "$1 has a control character in it"; fi
  case $1 in
  *_PASSWORD) at_least 16 "$1" "$2" ;;
  JWT_SECRET | JWT_SECRET_PREVIOUS) at_least 32 "$1" "$2" ;;
  esac
}

# The Secret with its values in base64, which needs no escapes whatever they are; in quotes, as base64 may look like a number.
secret='' keys=''
data=''
while IFS= read -r line <&3 || [ -n "$line" ]; do
  case $line in
  '' | '#'*) continue ;;
  stringData:)
    data=1
    secret+=$'data:\n'
    continue
    ;;
  esac
  if [ -z "$data" ]; then
    secret+=$line$'\n'
  elif [[ $line =~ ^\ \ ([a-z0-9-]+):\ \$\{([A-Z0-9_]+)\}$ ]]; then
    key=${BASH_REMATCH[1]} name=${BASH_REMATCH[2]}
    take "$name"
    if [[ $name == *_BASE64 ]]; then
      clear=$(printf '%s' "$found" | base64 -d 2>/dev/null) || fail 3 "$name is not base64"
      [[ $clear == '-----BEGIN PUBLIC KEY-----'* && $clear != *PRIVATE* ]] || fail 3 "$name is not a public key in PEM"
      encoded=$found
    else
      check "$name" "$found"
      encoded=$(printf '%s' "$found" | base64 | tr -d '\n') || fail 1 "base64 does not work"
    fi
    secret+="  $key: \"$encoded\""$'\n'
    keys+=" $key"
  else
    fail 3 "$source: a line is not understood: $line"
  fi
done 3<"$source"
[ -n "$keys" ] || fail 3 "$source has no value"
verbose "seals the keys$keys"

# fetch_cert FILE: the controller's certificate, from the cluster.
fetch_cert() {
  local pem command
  if [ -n "$policyd" ]; then
    need 1 kubectl
    command=(kubectl get --raw "/api/v1/namespaces/$controller_namespace/services/http:$controller:/proxy/v1/cert.pem")
  else
    command=(kubeseal --fetch-cert --controller-name "$controller" --controller-namespace "$controller_namespace")
  fi
  say "fetches the certificate of $controller in $controller_namespace, and keeps it in $1"
  debug "${command[*]}"
  pem=$("${command[@]}") || fail 4 "the controller gives no certificate; --cert names one that is there"
  [[ $pem == *'-----BEGIN CERTIFICATE-----'* ]] || fail 4 "what $controller answers is no certificate"
  write "$1" "$pem"
}

# write FILE TEXT: a whole file or none; what is written here is no secret.
write() {
  local directory temporary
  directory=$(dirname -- "$1")
  [ -d "$directory" ] || fail 5 "there is no directory $directory"
  if [ -e "$1" ] && [ ! -f "$1" ]; then fail 5 "$1 is no ordinary file"; fi
  temporary=$(mktemp -- "$directory/.sealed.XXXXXX" 2>/dev/null) || fail 5 "cannot write in $directory"
  # shellcheck disable=SC2064 # the file of now
  trap "rm -f -- $(printf '%q' "$temporary")" EXIT
  if ! { printf '%s\n' "$2" >"$temporary" && chmod 644 -- "$temporary" && mv -f -- "$temporary" "$1"; } 2>/dev/null; then
    fail 5 "cannot write $1"
  fi
  trap - EXIT
}

kept=$folder/controller-cert.pem
if [ -z "$cert" ]; then
  if [ -n "$fetch" ]; then
    fetch_cert "$kept"
    cert=$kept
  elif [ -n "${SEALED_SECRETS_CERT:-}" ]; then
    cert=$SEALED_SECRETS_CERT
  else
    cert=$kept
    if [ ! -e "$cert" ]; then
      [ -z "$dry_run" ] || fail 5 "there is no certificate, and --dry-run fetches none: --cert names one"
      fetch_cert "$kept"
    fi
  fi
fi
if [ -d "$cert" ] || [ ! -r "$cert" ]; then fail 5 "cannot read the certificate $cert"; fi
verbose "seals for the controller whose certificate is $cert"

if [ -n "$policyd" ]; then
  command=("$policyd" seal --cert "$cert" --scope strict)
else
  command=(kubeseal --cert "$cert" --scope strict --format yaml)
fi
debug "${command[*]}"
sealed=$(printf '%s' "$secret" | "${command[@]}") || fail 3 "it was not sealed"
[[ $sealed == *'kind: SealedSecret'* ]] || fail 3 "what ${command[0]} gives is no SealedSecret"

if [ -n "$dry_run" ] || [ "$output" = - ]; then
  printf '%s\n' "$sealed" || fail 5 "standard output cannot be written"
  if [ -n "$dry_run" ]; then say "a dry run: $output is not written"; fi
  exit 0
fi
write "$output" "$sealed"
say "wrote $output"

if [ -n "$apply" ]; then
  if [ -z "$confirm" ]; then
    context=$(kubectl config current-context) || fail 4 "kubectl knows no cluster"
    printf 'apply %s to the cluster of %s? [y/N] ' "$output" "$context" >&2
    IFS= read -r answer || answer=''
    case $answer in
    y | Y | yes) ;;
    *)
      say "not applied"
      exit 0
      ;;
    esac
  fi
  debug "kubectl apply -f $output"
  kubectl apply -f "$output" || fail 4 "the cluster did not take $output"
fi
