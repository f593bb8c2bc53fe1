//! Every rule finds the mistake that it is for when it is planted into the manifests, and nothing in the manifests as they are.

use super::equal;
use super::objects::{Set, list, text};
use super::rules::{self, Facts, RULES, SECRETS};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::PathBuf;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap()
        .to_owned()
}

fn facts() -> Facts {
    Facts::new(super::CONNECTIONS)
}

fn shipped() -> Set {
    Set::read(&[root().join("k8s")]).unwrap()
}

/// A change of one object: its kind, its name, where, and what stands there then; `None` takes it away.
type Change = (&'static str, &'static str, &'static str, Option<Value>);

fn set(value: Value) -> Option<Value> {
    Some(value)
}

/// The shipped manifests with changes.
fn planted(changes: &[Change]) -> Set {
    changed(shipped(), changes)
}

fn changed(mut manifests: Set, changes: &[Change]) -> Set {
    for (kind, name, pointer, value) in changes {
        let object = manifests
            .objects
            .iter_mut()
            .find(|o| o.kind() == *kind && o.name() == *name)
            .unwrap_or_else(|| panic!("{kind}/{name}"));
        let (parent, key) = pointer.rsplit_once('/').unwrap();
        let key = key.replace("~1", "/");
        let parent = object
            .value
            .pointer_mut(parent)
            .unwrap_or_else(|| panic!("{kind}/{name} has no {parent}"));
        match (parent, value) {
            (Value::Object(map), Some(value)) => drop(map.insert(key, value.clone())),
            (Value::Object(map), None) => assert!(map.remove(&key).is_some(), "{pointer}"),
            (Value::Array(items), Some(value)) if key == "-" => items.push(value.clone()),
            (Value::Array(items), Some(value)) => items[key.parse::<usize>().unwrap()] = value.clone(),
            (Value::Array(items), None) => drop(items.remove(key.parse::<usize>().unwrap())),
            (other, _) => panic!("{pointer}: {other}"),
        }
    }
    manifests
}

const NAME: &str = "llm-policy-engine";
const CONFIG: &str = "llm-policy-engine-config";
const POD: &str = "/spec/template/spec";
const NGINX: &str = "/metadata/annotations/nginx.ingress.kubernetes.io~1";

/// A mistake: the rule that it is for, its name, the changes that make it, and what the finding says.
struct Mistake {
    rule: &'static str,
    changes: Vec<Change>,
    says: &'static str,
}

fn mistake(rule: &'static str, says: &'static str, changes: Vec<Change>) -> Mistake {
    Mistake { rule, changes, says }
}

/// One or more for each rule.
fn mistakes() -> Vec<Mistake> {
    let change = |kind, name, pointer: String, value| -> Change { (kind, name, pointer.leak(), value) };
    let of_pod = |path: &str, value| change("Deployment", NAME, format!("{POD}{path}"), value);
    let of_policyd = |path: &str, value| of_pod(&format!("/containers/0{path}"), value);
    let config = |key: &str, value| change("ConfigMap", CONFIG, format!("/data/{key}"), value);
    let nginx = |name: &str| -> &'static str { Box::leak(format!("{NGINX}{name}").into_boxed_str()) };
    vec![
        mistake(
            "form",
            "no rule knows this kind",
            vec![("Service", NAME, "/kind", set(json!("CronTab")))],
        ),
        mistake(
            "form",
            "takes a kustomization for an object",
            vec![("Service", NAME, "/kind", set(json!("Kustomization")))],
        ),
        mistake(
            "form",
            "`apiVersion: policy/v1beta1` is not read here",
            vec![(
                "PodDisruptionBudget",
                NAME,
                "/apiVersion",
                set(json!("policy/v1beta1")),
            )],
        ),
        mistake(
            "form",
            "is there twice",
            vec![(
                "Service",
                "llm-policy-engine-headless",
                "/metadata/name",
                set(json!(NAME)),
            )],
        ),
        mistake(
            "name",
            "the name `llm_policy_engine`",
            vec![(
                "PodDisruptionBudget",
                NAME,
                "/metadata/name",
                set(json!("llm_policy_engine")),
            )],
        ),
        mistake(
            "name",
            "the port `much-too-long-a-name`",
            vec![of_policyd(
                "/ports/-",
                set(json!({"name": "much-too-long-a-name", "containerPort": 1})),
            )],
        ),
        mistake(
            "namespace",
            "has no namespace",
            vec![("ConfigMap", CONFIG, "/metadata/namespace", None)],
        ),
        mistake(
            "namespace",
            "in a namespace that no file makes",
            vec![("ConfigMap", CONFIG, "/metadata/namespace", set(json!("default")))],
        ),
        mistake(
            "plain-secret",
            "holds secrets in clear text",
            vec![("ConfigMap", CONFIG, "/kind", set(json!("Secret")))],
        ),
        mistake(
            "plain-secret",
            "JWT_SECRET is a secret in a ConfigMap",
            vec![config("JWT_SECRET", set(json!("x".repeat(64))))],
        ),
        mistake(
            "plain-secret",
            "DATABASE_PASSWORD is a secret in clear text",
            vec![of_policyd(
                "/env/1",
                set(json!({"name": "DATABASE_PASSWORD", "value": "hunter2"})),
            )],
        ),
        mistake(
            "selector",
            "matches no pod",
            vec![("Service", NAME, "/spec/selector/app", set(json!("policy-engine")))],
        ),
        mistake(
            "selector",
            "matches no pod",
            vec![(
                "PodDisruptionBudget",
                NAME,
                "/spec/selector/matchLabels/app",
                set(json!("x")),
            )],
        ),
        mistake(
            "selector",
            "does not match the labels of its own pods",
            vec![(
                "Deployment",
                NAME,
                "/spec/selector/matchLabels/app",
                set(json!("x")),
            )],
        ),
        mistake(
            "selector",
            "counts other pods",
            vec![of_pod(
                "/topologySpreadConstraints/0/labelSelector/matchLabels/app",
                set(json!("x")),
            )],
        ),
        mistake(
            "port",
            "no container has the port \"web\"",
            vec![("Service", NAME, "/spec/ports/0/targetPort", set(json!("web")))],
        ),
        mistake(
            "port",
            "no container has the port 8080",
            vec![("Service", NAME, "/spec/ports/0/targetPort", set(json!(8080)))],
        ),
        mistake(
            "port",
            "readinessProbe: no container has the port \"admin\"",
            vec![of_policyd("/readinessProbe/httpGet/port", set(json!("admin")))],
        ),
        mistake(
            "port",
            "no container has the port \"web\"",
            vec![(
                "NetworkPolicy",
                NAME,
                "/spec/ingress/0/ports/0/port",
                set(json!("web")),
            )],
        ),
        mistake(
            "port",
            "the Service llm-policy-engine has no port \"https\"",
            vec![(
                "Ingress",
                NAME,
                "/spec/rules/0/http/paths/0/backend/service/port/name",
                set(json!("https")),
            )],
        ),
        mistake(
            "reference",
            "names the ConfigMap `config`",
            vec![of_policyd("/envFrom/0/configMapRef/name", set(json!("config")))],
        ),
        mistake(
            "reference",
            "names the ServiceAccount `default`",
            vec![of_pod("/serviceAccountName", set(json!("default")))],
        ),
        mistake(
            "reference",
            "names the Service `policy`",
            vec![(
                "Ingress",
                NAME,
                "/spec/rules/0/http/paths/0/backend/service/name",
                set(json!("policy")),
            )],
        ),
        mistake(
            "reference",
            "mounts the volume `tmp`",
            vec![of_policyd(
                "/volumeMounts/-",
                set(json!({"name": "tmp", "mountPath": "/tmp"})),
            )],
        ),
        mistake(
            "reference",
            "the ConfigMap llm-policy-engine-config has no key `LEVEL`",
            vec![of_policyd(
                "/env/-",
                set(
                    json!({"name": "LOG_LEVEL", "valueFrom": {"configMapKeyRef": {"name": CONFIG, "key": "LEVEL"}}}),
                ),
            )],
        ),
        mistake(
            "secret-key",
            "the Secret `llm-policy-engine-database` has no key `user`",
            vec![of_pod("/volumes/1/secret/items/0/key", set(json!("user")))],
        ),
        mistake(
            "secret-key",
            "names the Secret `llm-policy-engine-secrets`",
            vec![of_pod(
                "/volumes/1/secret/secretName",
                set(json!("llm-policy-engine-secrets")),
            )],
        ),
        mistake(
            "secret-key",
            "puts no `pass` there",
            vec![of_policyd(
                "/env/1/value",
                set(json!("/etc/policyd/secrets/database/pass")),
            )],
        ),
        mistake(
            "secret-key",
            "where nothing is mounted",
            vec![of_policyd("/env/1/value", set(json!("/run/secrets/password")))],
        ),
        mistake(
            "secret-key",
            "which is not in a Secret",
            vec![of_policyd(
                "/env/1/value",
                set(json!("/var/lib/policyd/password")),
            )],
        ),
        mistake(
            "secret-key",
            "by `subPath`: a changed Secret never arrives",
            vec![of_policyd("/volumeMounts/1/subPath", set(json!("password")))],
        ),
        mistake(
            "secret-key",
            "the Secret `llm-policy-engine-jwt` has no key `none`",
            vec![of_pod(
                "/volumes/-",
                set(json!({"name": "more", "projected": {"sources": [
                    {"secret": {"name": "llm-policy-engine-jwt", "items": [{"key": "none", "path": "x"}]}},
                ]}})),
            )],
        ),
        mistake(
            "pdb",
            "minAvailable 3 of 3 replicas",
            vec![("PodDisruptionBudget", NAME, "/spec/minAvailable", set(json!(3)))],
        ),
        mistake(
            "pdb",
            "no number of pods that may go",
            vec![(
                "PodDisruptionBudget",
                NAME,
                "/spec/minAvailable",
                set(json!("90%")),
            )],
        ),
        mistake(
            "hpa-target",
            "its target Deployment/policyd is not in these manifests",
            vec![(
                "HorizontalPodAutoscaler",
                NAME,
                "/spec/scaleTargetRef/name",
                set(json!("policyd")),
            )],
        ),
        mistake(
            "hpa-target",
            "minReplicas 3, maxReplicas 2",
            vec![(
                "HorizontalPodAutoscaler",
                NAME,
                "/spec/maxReplicas",
                set(json!(2)),
            )],
        ),
        mistake(
            "replicas",
            "`replicas: 3` beside HorizontalPodAutoscaler/llm-policy-engine",
            vec![("Deployment", NAME, "/spec/replicas", set(json!(3)))],
        ),
        mistake(
            "connections",
            "(DATABASE_POOL 10 + 1) x (10 replicas + 1 more in a rollout) = 121 connections",
            vec![config("DATABASE_POOL", set(json!("10")))],
        ),
        mistake(
            "connections",
            "= 147 connections",
            vec![(
                "HorizontalPodAutoscaler",
                NAME,
                "/spec/maxReplicas",
                set(json!(20)),
            )],
        ),
        mistake(
            "setting-name",
            "DATABASE_PASWORD_FILE is no setting",
            vec![of_policyd("/env/1/name", set(json!("DATABASE_PASWORD_FILE")))],
        ),
        mistake(
            "setting-name",
            "CACHE_MAX_SIZE is no setting",
            vec![config("CACHE_MAX_SIZE", set(json!("1000")))],
        ),
        mistake(
            "setting-name",
            "LOG_LEVEL_FILE is no setting",
            vec![config("LOG_LEVEL_FILE", set(json!("/x")))],
        ),
        mistake(
            "setting-value",
            "SHUTDOWN_GRACE",
            vec![config("SHUTDOWN_GRACE", set(json!("banana")))],
        ),
        mistake(
            "setting-value",
            "JWT_ALGORITHM",
            vec![config("JWT_ALGORITHM", set(json!("RS256")))],
        ),
        mistake(
            "setting-value",
            "refusing to listen on 0.0.0.0 without authentication",
            vec![of_policyd("/env/5", None), of_policyd("/env/4", None)],
        ),
        mistake(
            "setting-value",
            "DATABASE_USERNAME_FILE: contradicts DATABASE_USERNAME",
            vec![config("DATABASE_USERNAME", set(json!("policies")))],
        ),
        mistake(
            "setting-value",
            "DATABASE_POOL in the ConfigMap llm-policy-engine-config is no text",
            vec![config("DATABASE_POOL", set(json!(6)))],
        ),
        mistake(
            "setting-value",
            "what it sets cannot be checked",
            vec![of_policyd(
                "/envFrom/-",
                set(json!({"secretRef": {"name": "llm-policy-engine-jwt"}})),
            )],
        ),
        mistake(
            "listen",
            "METRICS_HOST is 127.0.0.1",
            vec![config("METRICS_HOST", None)],
        ),
        mistake(
            "listen",
            "no port `http` 8080",
            vec![config("PORT", set(json!("8080")))],
        ),
        mistake(
            "listen",
            "GRPC_PORT is 0",
            vec![
                config("GRPC_PORT", set(json!("0"))),
                of_policyd("/ports/1/containerPort", set(json!(0))),
            ],
        ),
        mistake(
            "grace",
            "terminationGracePeriodSeconds is 30",
            vec![of_pod("/terminationGracePeriodSeconds", set(json!(30)))],
        ),
        mistake(
            "grace",
            "terminationGracePeriodSeconds is 30",
            vec![of_pod("/terminationGracePeriodSeconds", None)],
        ),
        mistake(
            "grace",
            "SHUTDOWN_GRACE 60s",
            vec![config("SHUTDOWN_GRACE", set(json!("1m")))],
        ),
        mistake(
            "grace",
            "SHUTDOWN_DELAY 20s",
            vec![config("SHUTDOWN_DELAY", set(json!("20s")))],
        ),
        mistake(
            "grace",
            "how long preStop takes cannot be told",
            vec![of_policyd(
                "/lifecycle",
                set(json!({"preStop": {"exec": {"command": ["sleep", "8"]}}})),
            )],
        ),
        mistake(
            "grace",
            "preStop 8 s + SHUTDOWN_DELAY 8s + SHUTDOWN_GRACE 20s + 5 s are 41s",
            vec![of_policyd(
                "/lifecycle",
                set(json!({"preStop": {"sleep": {"seconds": 8}}})),
            )],
        ),
        mistake(
            "grace",
            "refuses connections as soon as",
            vec![config("SHUTDOWN_DELAY", None)],
        ),
        mistake(
            "data-volume",
            "DECISION_LOG_SPOOL takes 1073741824 bytes",
            vec![of_pod("/volumes/0/emptyDir/sizeLimit", set(json!("1Gi")))],
        ),
        mistake(
            "data-volume",
            "DECISION_LOG_SPOOL takes 2147483648 bytes",
            vec![config("DECISION_LOG_SPOOL", set(json!("2GB")))],
        ),
        mistake(
            "data-volume",
            "has the size ``",
            vec![of_pod("/volumes/0/emptyDir", set(json!({})))],
        ),
        mistake(
            "data-volume",
            "nothing is mounted at DATA_DIR",
            vec![config("DATA_DIR", set(json!("/data")))],
        ),
        mistake(
            "data-volume",
            "the limit of ephemeral-storage is `1Gi`",
            vec![of_policyd(
                "/resources/limits/ephemeral-storage",
                set(json!("1Gi")),
            )],
        ),
        mistake(
            "probe",
            "livenessProbe asks /readyz",
            vec![of_policyd("/livenessProbe/httpGet/path", set(json!("/readyz")))],
        ),
        mistake(
            "probe",
            "readinessProbe asks the port \"http\"",
            vec![of_policyd("/readinessProbe/httpGet/port", set(json!("http")))],
        ),
        mistake(
            "probe",
            "startupProbe: there is no `httpGet`",
            vec![of_policyd("/startupProbe", None)],
        ),
        mistake(
            "probe",
            "asks by HTTPS",
            vec![of_policyd("/livenessProbe/httpGet/scheme", set(json!("HTTPS")))],
        ),
        mistake(
            "service-links",
            "takes variables of every Service",
            vec![of_pod("/enableServiceLinks", None)],
        ),
        mistake(
            "resources",
            "no memory in limits",
            vec![of_policyd("/resources/limits/memory", None)],
        ),
        mistake(
            "resources",
            "has `1,5Gi` of memory in limits, which cannot be read",
            vec![of_policyd("/resources/limits/memory", set(json!("1,5Gi")))],
        ),
        mistake(
            "resources",
            "asks for more memory than its limit",
            vec![of_policyd("/resources/limits/memory", set(json!("511Mi")))],
        ),
        mistake(
            "resources",
            "asks for more cpu than its limit",
            vec![of_policyd("/resources/limits/cpu", set(json!("0.2")))],
        ),
        mistake(
            "port",
            "its port `http` leads to \"metrics\"",
            vec![("Service", NAME, "/spec/ports/0/targetPort", set(json!("metrics")))],
        ),
        mistake(
            "secret-key",
            "POLICIES is /policies, where nothing is mounted",
            vec![config("POLICIES", set(json!("/policies")))],
        ),
        mistake(
            "secret-key",
            "BUNDLE_KEYS is /keys/b.pem, where nothing is mounted",
            vec![config(
                "BUNDLE_KEYS",
                set(json!("/var/lib/policyd/a.pem, /keys/b.pem")),
            )],
        ),
        mistake(
            "secret-key",
            "BUNDLE is /bundles/b, where nothing is mounted",
            vec![config("BUNDLE", set(json!("/bundles/b")))],
        ),
        mistake(
            "ingress",
            "speaks HTTP to the port \"grpc\" of llm-policy-engine, which speaks GRPC",
            vec![(
                "Ingress",
                "llm-policy-engine-grpc",
                nginx("backend-protocol"),
                None,
            )],
        ),
        mistake(
            "ingress",
            "speaks GRPC to the port \"http\" of llm-policy-engine, which speaks HTTP",
            vec![("Ingress", NAME, nginx("backend-protocol"), set(json!("GRPC")))],
        ),
        mistake(
            "image",
            "names no version",
            vec![of_policyd(
                "/image",
                set(json!("ghcr.io/llm-devops/policy-engine:latest")),
            )],
        ),
        mistake(
            "image",
            "names no version",
            vec![of_policyd("/image", set(json!("registry:5000/policy-engine")))],
        ),
        mistake(
            "network-policy",
            "no NetworkPolicy selects its pods",
            vec![(
                "NetworkPolicy",
                NAME,
                "/spec/podSelector/matchLabels/app",
                set(json!("x")),
            )],
        ),
        mistake(
            "network-policy",
            "says nothing about Egress",
            vec![(
                "NetworkPolicy",
                NAME,
                "/spec/policyTypes",
                set(json!(["Ingress"])),
            )],
        ),
        mistake(
            "network-policy",
            "`matchExpressions` are not read here",
            vec![(
                "NetworkPolicy",
                NAME,
                "/spec/podSelector/matchExpressions",
                set(json!([{"key": "app", "operator": "DoesNotExist"}])),
            )],
        ),
        mistake(
            "network-policy",
            "lets everybody in",
            vec![("NetworkPolicy", NAME, "/spec/ingress/1/from", set(json!([])))],
        ),
        mistake(
            "network-policy",
            "lets everybody in: {\"namespaceSelector\":{}}",
            vec![(
                "NetworkPolicy",
                NAME,
                "/spec/ingress/0/from/-",
                set(json!({"namespaceSelector": {}})),
            )],
        ),
        mistake(
            "network-policy",
            "lets everybody in: {\"ipBlock\"",
            vec![(
                "NetworkPolicy",
                NAME,
                "/spec/ingress/0/from/-",
                set(json!({"ipBlock": {"cidr": "0.0.0.0/0"}})),
            )],
        ),
        mistake(
            "network-policy",
            "keeps it from PostgreSQL, TCP 6432",
            vec![config("DATABASE_PORT", set(json!("6432")))],
        ),
        mistake(
            "network-policy",
            "keeps it from BUNDLE, TCP 443",
            vec![config("BUNDLE", set(json!("https://bundles.example.com/b")))],
        ),
        mistake(
            "network-policy",
            "keeps it from DNS, UDP 53",
            vec![("NetworkPolicy", NAME, "/spec/egress/0", None)],
        ),
        mistake(
            "ingress",
            "rate-limit` is none that a controller is known to read",
            vec![("Ingress", NAME, nginx("rate-limit"), set(json!("100")))],
        ),
        mistake(
            "ingress",
            "limits nobody",
            vec![("Ingress", NAME, nginx("limit-rps"), None)],
        ),
        mistake(
            "ingress",
            "limits nobody",
            vec![("Ingress", NAME, nginx("limit-rps"), set(json!("0")))],
        ),
        mistake(
            "ingress",
            "is no text",
            vec![("Ingress", NAME, nginx("limit-connections"), set(json!(50)))],
        ),
        mistake(
            "ingress",
            "lets bodies of 8m through, and MAX_BODY is 4194304 bytes",
            vec![("Ingress", NAME, nginx("proxy-body-size"), set(json!("8m")))],
        ),
        mistake(
            "ingress",
            "has no TLS",
            vec![(
                "Ingress",
                NAME,
                "/spec/tls/0/hosts/0",
                set(json!("other.example.com")),
            )],
        ),
        mistake(
            "ingress",
            "nothing makes the certificate `llm-policy-engine-tls`",
            vec![(
                "Ingress",
                NAME,
                "/metadata/annotations/cert-manager.io~1cluster-issuer",
                None,
            )],
        ),
        mistake(
            "ingress",
            "open below `/`",
            vec![(
                "Ingress",
                NAME,
                "/spec/rules/0/http/paths/0/path",
                set(json!("/")),
            )],
        ),
        mistake(
            "ingress",
            "depends on the controller",
            vec![(
                "Ingress",
                NAME,
                "/spec/rules/0/http/paths/0/pathType",
                set(json!("ImplementationSpecific")),
            )],
        ),
        mistake(
            "ingress",
            "open below `/`",
            vec![(
                "Ingress",
                NAME,
                "/spec/defaultBackend",
                set(json!({"service": {"name": NAME, "port": {"name": "http"}}})),
            )],
        ),
        mistake(
            "ingress",
            "the type LoadBalancer opens the pods",
            vec![("Service", NAME, "/spec/type", set(json!("LoadBalancer")))],
        ),
        mistake(
            "ingress",
            "`externalIPs` leads past the way in",
            vec![("Service", NAME, "/spec/externalIPs", set(json!(["192.0.2.1"])))],
        ),
        mistake(
            "ingress",
            "no `ingressClassName`",
            vec![("Ingress", NAME, "/spec/ingressClassName", None)],
        ),
        mistake(
            "ingress",
            "is deprecated",
            vec![(
                "Ingress",
                NAME,
                "/metadata/annotations/kubernetes.io~1ingress.class",
                set(json!("nginx")),
            )],
        ),
    ]
}

/// The restricted standard, line by line.
fn insecurities() -> Vec<Mistake> {
    let at = |path: &str| -> &'static str { Box::leak(format!("{POD}{path}").into_boxed_str()) };
    let one = |path: &str, value: Option<Value>, says: &'static str| {
        mistake("pod-security", says, vec![("Deployment", NAME, at(path), value)])
    };
    let own = "/containers/0/securityContext";
    let own = |field: &str| format!("{own}{field}");
    let both = |field: &str, value: Option<Value>, says: &'static str| one(&own(field), value, says);
    vec![
        one("/hostNetwork", set(json!(true)), "`hostNetwork` is on"),
        one("/hostPID", set(json!(true)), "`hostPID` is on"),
        one("/hostIPC", set(json!(true)), "`hostIPC` is on"),
        one("/automountServiceAccountToken", None, "a token for the API"),
        one(
            "/volumes/-",
            set(json!({"name": "host", "hostPath": {"path": "/"}})),
            "the volume `host` is of the kind `hostPath`",
        ),
        one(
            "/securityContext/sysctls",
            set(json!([{"name": "kernel.msgmax", "value": "1"}])),
            "sets the sysctl kernel.msgmax",
        ),
        one("/securityContext/runAsNonRoot", None, "may run as root"),
        one("/securityContext/runAsUser", set(json!(0)), "runs as root"),
        one("/securityContext/seccompProfile", None, "no seccomp profile"),
        one(
            "/securityContext/seccompProfile/type",
            set(json!("Unconfined")),
            "no seccomp profile",
        ),
        both("/runAsNonRoot", set(json!(false)), "may run as root"),
        both("/runAsUser", set(json!(0)), "runs as root"),
        both("/allowPrivilegeEscalation", None, "may gain privileges"),
        both(
            "/readOnlyRootFilesystem",
            set(json!(false)),
            "may write its root file system",
        ),
        both("/capabilities", None, "keeps capabilities"),
        both(
            "/capabilities/add",
            set(json!(["SYS_ADMIN"])),
            "adds the capability \"SYS_ADMIN\"",
        ),
        both("/privileged", set(json!(true)), "is privileged"),
        both("/procMount", set(json!("Unmasked")), "sees more of /proc"),
        both(
            "/appArmorProfile",
            set(json!({"type": "Unconfined"})),
            "not confined by AppArmor",
        ),
        both("/seLinuxOptions", set(json!({"type": "spc_t"})), "SELinux labels"),
        both(
            "/windowsOptions",
            set(json!({"hostProcess": true})),
            "a process of the host",
        ),
        one(
            "/containers/0/ports/0/hostPort",
            set(json!(3000)),
            "takes a port of the node",
        ),
        one(
            "/containers/0/livenessProbe/httpGet/host",
            set(json!("10.0.0.1")),
            "made to ask another host",
        ),
        one(
            "/initContainers",
            set(json!([{"name": "init", "image": "busybox:1", "securityContext": {"privileged": true}}])),
            "the container `init` is privileged",
        ),
        mistake(
            "pod-security",
            "does not enforce",
            vec![(
                "Namespace",
                "llm-devops",
                "/metadata/labels/pod-security.kubernetes.io~1enforce",
                set(json!("baseline")),
            )],
        ),
        mistake(
            "pod-security",
            "gives pods a token",
            vec![("ServiceAccount", NAME, "/automountServiceAccountToken", None)],
        ),
    ]
}

#[test]
fn nothing_is_found_in_what_is_shipped() {
    let shipped = shipped();
    let findings = rules::check(&shipped, &facts());
    assert!(findings.is_empty(), "{}", lines(&findings));
    let kinds: BTreeSet<&str> = shipped.objects.iter().map(|o| o.kind()).collect();
    let every = [
        "ConfigMap",
        "Deployment",
        "HorizontalPodAutoscaler",
        "Ingress",
        "Namespace",
        "NetworkPolicy",
        "PodDisruptionBudget",
        "Service",
        "ServiceAccount",
    ];
    assert_eq!(kinds, BTreeSet::from(every));
}

fn lines(findings: &[super::finding::Finding]) -> String {
    findings.iter().map(|f| format!("{f}\n")).collect()
}

#[test]
fn each_planted_mistake_is_found_by_its_rule() {
    let mut tested = BTreeSet::new();
    for mistake in mistakes().into_iter().chain(insecurities()) {
        let findings = rules::check(&planted(&mistake.changes), &facts());
        let found = findings
            .iter()
            .find(|f| f.rule == mistake.rule && f.message.contains(mistake.says));
        let Some(found) = found else {
            panic!(
                "{}: `{}` is not found for {:?}, but\n{}",
                mistake.rule,
                mistake.says,
                mistake.changes,
                lines(&findings)
            );
        };
        assert!(found.file.ends_with(".yaml"), "{found}");
        assert!(!found.help.is_empty(), "{found}");
        tested.insert(mistake.rule);
    }
    let every: BTreeSet<&str> = RULES.iter().map(|rule| rule.name).collect();
    assert_eq!(tested, every);
}

/// The shipped manifests with the Gateway API instead of the Ingress, with monitoring, and as a StatefulSet.
fn with_components() -> Set {
    let components = root().join("k8s/kustomize/components");
    let stateful: &[Change] = &[
        ("Deployment", NAME, "/spec/strategy", None),
        ("Deployment", NAME, "/spec/template/spec/volumes/0", None),
        (
            "Deployment",
            NAME,
            "/spec/serviceName",
            set(json!("llm-policy-engine-headless")),
        ),
        (
            "Deployment",
            NAME,
            "/spec/volumeClaimTemplates",
            set(
                json!([{"metadata": {"name": "data"}, "spec": {"resources": {"requests": {"storage": "2Gi"}}}}]),
            ),
        ),
        ("Deployment", NAME, "/kind", set(json!("StatefulSet"))),
        (
            "HorizontalPodAutoscaler",
            NAME,
            "/spec/scaleTargetRef/kind",
            set(json!("StatefulSet")),
        ),
    ];
    let mut manifests = planted(stateful);
    manifests.objects.retain(|object| object.kind() != "Ingress");
    let files = [
        "gateway-api/gateway.yaml",
        "prometheus-operator/pod-monitor.yaml",
        "prometheus-operator/prometheus-rule.yaml",
    ];
    let more = Set::read(&files.map(|file| components.join(file))).unwrap();
    assert_eq!(more.problems, []);
    manifests.objects.extend(more.objects);
    manifests
}

#[test]
fn mistakes_in_components_are_found() {
    let good = rules::check(&with_components(), &facts());
    assert!(good.is_empty(), "{}", lines(&good));
    let claim = "/spec/volumeClaimTemplates/0/spec/resources/requests/storage";
    for (rule, says, change) in [
        (
            "selector",
            "matches no pod",
            (
                "PodMonitor",
                NAME,
                "/spec/selector/matchLabels/app",
                set(json!("x")),
            ),
        ),
        (
            "port",
            "no container has the port \"admin\"",
            (
                "PodMonitor",
                NAME,
                "/spec/podMetricsEndpoints/0/port",
                set(json!("admin")),
            ),
        ),
        (
            "port",
            "the Service llm-policy-engine has no port 443",
            (
                "HTTPRoute",
                NAME,
                "/spec/rules/0/backendRefs/0/port",
                set(json!(443)),
            ),
        ),
        (
            "reference",
            "names the Gateway `public`",
            ("GRPCRoute", NAME, "/spec/parentRefs/0/name", set(json!("public"))),
        ),
        (
            "reference",
            "names the Service `headless`",
            ("StatefulSet", NAME, "/spec/serviceName", set(json!("headless"))),
        ),
        (
            "ingress",
            "the listener `https` has no TLS",
            ("Gateway", NAME, "/spec/listeners/0/protocol", set(json!("HTTP"))),
        ),
        (
            "ingress",
            "nothing makes its certificates",
            ("Gateway", NAME, "/metadata/annotations", None),
        ),
        (
            "ingress",
            "has no listener `https` for the names of this route",
            (
                "HTTPRoute",
                NAME,
                "/spec/hostnames/0",
                set(json!("other.example.com")),
            ),
        ),
        (
            "ingress",
            "has no listener `grpc` for the names of this route",
            (
                "GRPCRoute",
                NAME,
                "/spec/parentRefs/0/sectionName",
                set(json!("grpc")),
            ),
        ),
        (
            "ingress",
            "is open below `/`",
            (
                "HTTPRoute",
                NAME,
                "/spec/rules/0/matches/0/path/value",
                set(json!("/")),
            ),
        ),
        (
            "ingress",
            "is open below `/`",
            ("GRPCRoute", NAME, "/spec/rules/0/matches", None),
        ),
        (
            "ingress",
            "is open below `/`",
            ("GRPCRoute", NAME, "/spec/rules/0/matches/0/method", None),
        ),
        (
            "ingress",
            "what a match of the type \"RegularExpression\" opens cannot be told",
            (
                "HTTPRoute",
                NAME,
                "/spec/rules/0/matches/0/path/type",
                set(json!("RegularExpression")),
            ),
        ),
        (
            "data-volume",
            "the size `1Gi`, and DECISION_LOG_SPOOL takes 1073741824 bytes",
            ("StatefulSet", NAME, claim, set(json!("1Gi"))),
        ),
        // No pod more in a rollout: (8 + 1) x 10 is less, (9 + 1) x 10 is more than 97.
        (
            "connections",
            "(DATABASE_POOL 9 + 1) x (10 replicas + 0 more in a rollout) = 100",
            ("ConfigMap", CONFIG, "/data/DATABASE_POOL", set(json!("9"))),
        ),
        (
            "name",
            "at most 52 characters",
            (
                "StatefulSet",
                NAME,
                "/metadata/name",
                set(json!("a-name-that-leaves-no-room-for-the-revision-of-its-pods")),
            ),
        ),
    ] {
        let findings = rules::check(&changed(with_components(), &[change]), &facts());
        assert!(
            findings
                .iter()
                .any(|f| f.rule == rule && f.message.contains(says)),
            "{rule}: `{says}` is not found, but\n{}",
            lines(&findings)
        );
    }
    let eight: &[Change] = &[("ConfigMap", CONFIG, "/data/DATABASE_POOL", set(json!("8")))];
    assert_eq!(rules::check(&changed(with_components(), eight), &facts()), []);
}

#[test]
fn files_that_are_no_manifests_are_found() {
    for (text, says) in [
        ("kind: A\nkind: B\n", "duplicate"),
        ("a: [", "cannot be read"),
        ("- 1\n", "a document is no object"),
    ] {
        let mut manifests = shipped();
        manifests.add("broken.yaml", text);
        let findings = rules::check(&manifests, &facts());
        assert!(
            findings
                .iter()
                .any(|f| f.rule == "form" && f.file == "broken.yaml" && f.message.contains(says)),
            "{text}: {}",
            lines(&findings)
        );
    }
}

#[test]
fn the_namespace_comes_first() {
    let mut manifests = shipped();
    manifests.objects.rotate_left(1);
    let findings = rules::check(&manifests, &facts());
    assert!(
        findings
            .iter()
            .any(|f| f.rule == "namespace" && f.message.contains("before")),
        "{}",
        lines(&findings)
    );
}

#[test]
fn a_secret_of_ones_own_can_be_told_of() {
    let changes: Vec<Change> = vec![(
        "Deployment",
        NAME,
        "/spec/template/spec/imagePullSecrets",
        set(json!([{"name": "registry"}])),
    )];
    let mut facts = facts();
    assert_eq!(rules::check(&planted(&changes), &facts).len(), 1);
    facts.secret("registry", [".dockerconfigjson"].into_iter());
    assert!(rules::check(&planted(&changes), &facts).is_empty());
}

#[test]
fn more_connections_can_be_told_of() {
    let changes: Vec<Change> = vec![("ConfigMap", CONFIG, "/data/DATABASE_POOL", set(json!("10")))];
    assert!(rules::check(&planted(&changes), &Facts::new(121)).is_empty());
    assert_eq!(rules::check(&planted(&changes), &Facts::new(120)).len(), 1);
}

/// What the Deployment mounts is all that there is to seal.
#[test]
fn the_deployment_reads_every_key_of_every_secret() {
    let shipped = shipped();
    let deployment = shipped.find("Deployment", "llm-devops", NAME).unwrap();
    let mut read: BTreeSet<(String, String)> = BTreeSet::new();
    for volume in list(&deployment.value, "/spec/template/spec/volumes") {
        for item in list(volume, "/secret/items") {
            read.insert((
                text(volume, "/secret/secretName").to_owned(),
                text(item, "/key").to_owned(),
            ));
        }
    }
    let mut made = table();
    // Read with the component jwt-public-key, instead of the other two.
    assert!(made.remove(&("llm-policy-engine-jwt".to_owned(), "public-key".to_owned())));
    assert_eq!(read, made);
}

/// Secrets and keys of the table.
fn table() -> BTreeSet<(String, String)> {
    SECRETS
        .iter()
        .flat_map(|(name, keys)| {
            keys.iter()
                .map(move |key| ((*name).to_owned(), (*key).to_owned()))
        })
        .collect()
}

#[test]
fn the_table_of_secrets_is_what_the_templates_make() {
    let templates = Set::read(&[root().join("k8s/sealed-secrets/templates")]).unwrap();
    assert_eq!(templates.problems, []);
    let mut made = BTreeSet::new();
    for secret in &templates.objects {
        for key in secret.at("/stringData").as_object().unwrap().keys() {
            assert!(
                made.insert((secret.name().to_owned(), key.clone())),
                "{key} twice"
            );
        }
    }
    assert_eq!(made, table());
}

#[test]
fn sealed_secrets_and_the_rest_make_the_same_namespace() {
    let read = |path: &str| equal::texts(&Set::read(&[root().join(path)]).unwrap(), &[]).unwrap();
    let (sealed, rest) = (
        read("k8s/sealed-secrets/manifests/00-namespace.yaml"),
        read("k8s/00-namespace.yaml"),
    );
    assert_eq!(rest.len(), 1);
    assert_eq!(
        equal::differences(&sealed, &rest, ("sealed-secrets", "k8s")),
        Vec::<String>::new()
    );
}

#[test]
fn equal_sets_are_equal_whatever_helm_adds() {
    let shipped = shipped();
    let texts = |set: &Set| equal::texts(set, &[]).unwrap();
    let mut other = shipped.clone();
    other.objects.reverse();
    for object in &mut other.objects {
        let metadata = object.value["metadata"].as_object_mut().unwrap();
        let labels = metadata.entry("labels").or_insert_with(|| json!({}));
        labels["helm.sh/chart"] = json!("llm-policy-engine-0.1.0");
        labels["app.kubernetes.io/managed-by"] = json!("Helm");
    }
    let names = ("a", "b");
    assert_eq!(
        equal::differences(&texts(&shipped), &texts(&other), names),
        Vec::<String>::new()
    );
    let one = other.objects.iter_mut().find(|o| o.kind() == "Service").unwrap();
    one.value["spec"]["ports"][0]["port"] = json!(81);
    let differences = equal::differences(&texts(&shipped), &texts(&other), names);
    assert_eq!(differences.len(), 1);
    assert!(differences[0].contains("+      port: 81"), "{}", differences[0]);
    other.objects.retain(|o| o.kind() != "Ingress");
    let differences = equal::differences(&texts(&shipped), &texts(&other), names);
    assert_eq!(differences.len(), 3);
}
