//! Rules about pods: how they start, are asked, keep data, and end, and what they may do.

use super::Facts;
use crate::k8s::finding::Findings;
use crate::k8s::objects::{Set, at, list, text};
use crate::k8s::pod::{self, Volume, Workload};
use crate::k8s::quantity;
use serde_json::Value;
use std::time::Duration;

/// Time that is left when everything that is waited for is over.
const SPARE: Duration = Duration::from_secs(5);

/// Seconds that Kubernetes gives a pod to end unless it is told otherwise.
const DEFAULT_GRACE: u64 = 30;

/// Rule `grace`.
pub(super) fn grace(set: &Set, _: &Facts, findings: &mut Findings) {
    for (workload, _, config) in pod::configured(set) {
        let delay = config.net.shutdown_delay;
        let hook = workload
            .policyd()
            .map_or(&Value::Null, |c| at(c, "/lifecycle/preStop"));
        let before = match hook {
            Value::Null => Some(0),
            hook => at(hook, "/sleep/seconds").as_u64(),
        };
        let Some(before) = before else {
            findings.at(
                workload.object,
                "how long preStop takes cannot be told",
                "use `sleep.seconds`: there is no shell in the image",
            );
            continue;
        };
        if before == 0 && delay.is_zero() {
            findings.at(
                workload.object,
                "refuses connections as soon as the pod is told to stop, while Services still lead there",
                "set SHUTDOWN_DELAY, or `lifecycle.preStop.sleep.seconds`, to some seconds",
            );
        }
        let grace = match at(workload.pod(), "/terminationGracePeriodSeconds") {
            Value::Null => DEFAULT_GRACE,
            grace => grace.as_u64().unwrap_or(0),
        };
        let needed = Duration::from_secs(before) + delay + config.net.shutdown_grace + SPARE;
        if Duration::from_secs(grace) < needed {
            findings.at(
                workload.object,
                format!(
                    "terminationGracePeriodSeconds is {grace}: preStop {before} s + SHUTDOWN_DELAY {delay:?} + \
                     SHUTDOWN_GRACE {:?} + 5 s are {needed:?}",
                    config.net.shutdown_grace
                ),
                format!("set it to {} or more", needed.as_secs() + u64::from(needed.subsec_nanos() > 0)),
            );
        }
    }
}

/// Rule `data-volume`.
pub(super) fn data_volume(set: &Set, _: &Facts, findings: &mut Findings) {
    for (workload, _, config) in pod::configured(set) {
        let object = workload.object;
        let directory = config.store.data_dir.display().to_string();
        let spool = config.log.spool.as_ref().map_or(0, |spool| spool.bytes);
        let Some(mount) = workload.mount(&directory) else {
            findings.at(
                object,
                format!(
                    "nothing is mounted at DATA_DIR ({directory}), and the root file system is read-only"
                ),
                "mount a volume there",
            );
            continue;
        };
        if at(mount, "/readOnly").as_bool() == Some(true) {
            findings.at(
                object,
                format!("the volume at DATA_DIR ({directory}) is read-only"),
                "mount it without `readOnly`",
            );
        }
        let size = match workload.volume(text(mount, "/name")) {
            Some(Volume::Claimed(claim)) => text(claim, "/spec/resources/requests/storage"),
            Some(Volume::OfPod(volume)) => match volume {
                volume if volume.get("emptyDir").is_some() => {
                    if text(volume, "/emptyDir/medium") == "Memory" {
                        findings.at(
                            object,
                            "the volume at DATA_DIR is memory, which counts as that of the container",
                            "leave `medium` out",
                        );
                    }
                    room(workload, text(volume, "/emptyDir/sizeLimit"), findings);
                    text(volume, "/emptyDir/sizeLimit")
                }
                volume if volume.get("persistentVolumeClaim").is_some() => set
                    .find(
                        "PersistentVolumeClaim",
                        object.namespace(),
                        text(volume, "/persistentVolumeClaim/claimName"),
                    )
                    .map_or("", |claim| claim.text("/spec/resources/requests/storage")),
                _ => {
                    findings.at(
                        object,
                        "the volume at DATA_DIR is neither an emptyDir nor a claim",
                        "use one of these",
                    );
                    continue;
                }
            },
            None => continue, // `reference` says so.
        };
        if quantity::bytes(size).is_none_or(|bytes| bytes <= spool) {
            findings.at(
                object,
                format!(
                    "the volume at DATA_DIR has the size `{size}`, and DECISION_LOG_SPOOL takes {spool} bytes"
                ),
                "say a size that is larger than DECISION_LOG_SPOOL: a pod whose emptyDir is full is evicted",
            );
        }
    }
}

/// An emptyDir counts as ephemeral storage of its pod: what the container may have must hold it.
fn room(workload: Workload<'_>, size: &str, findings: &mut Findings) {
    let Some(size) = quantity::bytes(size) else {
        return; // Said by the caller.
    };
    let limit = workload
        .policyd()
        .map_or("", |c| text(c, "/resources/limits/ephemeral-storage"));
    if quantity::bytes(limit).is_none_or(|limit| limit < size) {
        findings.at(
            workload.object,
            format!(
                "the limit of ephemeral-storage is `{limit}`, less than its emptyDir of {size} bytes may take"
            ),
            "raise it above `sizeLimit`",
        );
    }
}

/// The probes that there have to be, with the path on the admin port that each asks.
pub(crate) const PROBES: &[(&str, &str)] = &[
    ("startupProbe", "/livez"),
    // Depends on nothing: a database that is away must not restart pods.
    ("livenessProbe", "/livez"),
    ("readinessProbe", "/readyz"),
];

/// Rule `probe`.
pub(super) fn probe(set: &Set, _: &Facts, findings: &mut Findings) {
    for (workload, _, config) in pod::configured(set) {
        for (name, path) in PROBES {
            let probe = workload
                .policyd()
                .map_or(&Value::Null, |c| at(c, &format!("/{name}")));
            let get = at(probe, "/httpGet");
            if !get.is_object() {
                findings.at(
                    workload.object,
                    format!("{name}: there is no `httpGet`"),
                    format!("ask {path} on the port `metrics`"),
                );
                continue;
            }
            if text(get, "/path") != *path {
                findings.at(
                    workload.object,
                    format!("{name} asks {}", text(get, "/path")),
                    format!("ask {path}"),
                );
            }
            let number = match at(get, "/port") {
                Value::String(name) => workload.port(name),
                port => port.as_u64(),
            };
            if number != Some(u64::from(config.net.admin.port())) {
                findings.at(
                    workload.object,
                    format!("{name} asks the port {}", at(get, "/port")),
                    format!("ask the admin port, METRICS_PORT {}", config.net.admin.port()),
                );
            }
            if text(get, "/scheme") == "HTTPS" {
                findings.at(
                    workload.object,
                    format!("{name} asks by HTTPS, which the admin port does not speak"),
                    "leave `scheme` out",
                );
            }
        }
    }
}

/// Kinds of volumes of the restricted standard.
const VOLUMES: &[&str] = &[
    "configMap",
    "csi",
    "downwardAPI",
    "emptyDir",
    "ephemeral",
    "persistentVolumeClaim",
    "projected",
    "secret",
];

/// Settings of the kernel that the standard lets pods set.
const SYSCTLS: &[&str] = &[
    "kernel.shm_rmid_forced",
    "net.ipv4.ip_local_port_range",
    "net.ipv4.ip_unprivileged_port_start",
    "net.ipv4.tcp_syncookies",
    "net.ipv4.ping_group_range",
    "net.ipv4.ip_local_reserved_ports",
    "net.ipv4.tcp_keepalive_time",
    "net.ipv4.tcp_fin_timeout",
    "net.ipv4.tcp_keepalive_intvl",
    "net.ipv4.tcp_keepalive_probes",
];

/// Types of SELinux labels that the standard lets pods have.
const SELINUX_TYPES: &[&str] = &[
    "",
    "container_t",
    "container_init_t",
    "container_kvm_t",
    "container_engine_t",
];

/// Rule `pod-security`.
pub(super) fn security(set: &Set, _: &Facts, findings: &mut Findings) {
    for namespace in set.of("Namespace") {
        let enforced = namespace
            .at("/metadata/labels")
            .get("pod-security.kubernetes.io/enforce");
        if enforced.and_then(Value::as_str) != Some("restricted") {
            findings.at(
                namespace,
                "does not enforce the restricted Pod Security Standard",
                "label it `pod-security.kubernetes.io/enforce: restricted`",
            );
        }
    }
    for account in set.of("ServiceAccount") {
        if account.at("/automountServiceAccountToken").as_bool() != Some(false) {
            findings.at(
                account,
                "gives pods a token for the API, which policyd does not call",
                "set `automountServiceAccountToken: false`",
            );
        }
    }
    for workload in Workload::all(set) {
        let mut wrong = |what: String, help: &str| findings.at(workload.object, what, help);
        let pod = workload.pod();
        if at(pod, "/automountServiceAccountToken").as_bool() != Some(false) {
            wrong(
                "gives its pods a token for the API, which policyd does not call".to_owned(),
                "set `automountServiceAccountToken: false`",
            );
        }
        for name in ["hostNetwork", "hostPID", "hostIPC"] {
            if !matches!(at(pod, &format!("/{name}")), Value::Null | Value::Bool(false)) {
                wrong(format!("`{name}` is on"), "leave it out");
            }
        }
        for volume in list(pod, "/volumes") {
            let kinds = volume.as_object().into_iter().flat_map(|v| v.keys());
            for kind in kinds.filter(|kind| *kind != "name" && !VOLUMES.contains(&kind.as_str())) {
                wrong(
                    format!("the volume `{}` is of the kind `{kind}`", text(volume, "/name")),
                    "use another kind of volume",
                );
            }
        }
        for sysctl in list(pod, "/securityContext/sysctls") {
            if !SYSCTLS.contains(&text(sysctl, "/name")) {
                wrong(
                    format!("sets the sysctl {}", text(sysctl, "/name")),
                    "leave it out",
                );
            }
        }
        context("the pod", at(pod, "/securityContext"), &mut wrong);
        for container in workload.containers() {
            security_of_container(pod, container, &mut wrong);
        }
    }
}

/// What the standard says of one container, with what it takes over from its pod.
fn security_of_container(pod: &Value, container: &Value, wrong: &mut impl FnMut(String, &str)) {
    let name = format!("the container `{}`", text(container, "/name"));
    let own = at(container, "/securityContext");
    context(&name, own, wrong);
    let either = |pointer: &str| {
        own.pointer(pointer)
            .unwrap_or_else(|| at(at(pod, "/securityContext"), pointer))
    };
    if either("/runAsNonRoot").as_bool() != Some(true) {
        wrong(format!("{name} may run as root"), "set `runAsNonRoot: true`");
    }
    if !matches!(
        either("/seccompProfile/type").as_str(),
        Some("RuntimeDefault" | "Localhost")
    ) {
        wrong(
            format!("{name} has no seccomp profile"),
            "set `seccompProfile.type: RuntimeDefault`",
        );
    }
    if at(own, "/allowPrivilegeEscalation").as_bool() != Some(false) {
        wrong(
            format!("{name} may gain privileges"),
            "set `allowPrivilegeEscalation: false`",
        );
    }
    if at(own, "/readOnlyRootFilesystem").as_bool() != Some(true) {
        wrong(
            format!("{name} may write its root file system"),
            "set `readOnlyRootFilesystem: true`",
        );
    }
    if !list(own, "/capabilities/drop").iter().any(|c| c == "ALL") {
        wrong(
            format!("{name} keeps capabilities"),
            "set `capabilities.drop: [ALL]`",
        );
    }
    for capability in list(own, "/capabilities/add") {
        if capability != "NET_BIND_SERVICE" {
            wrong(format!("{name} adds the capability {capability}"), "leave it out");
        }
    }
    if !matches!(at(own, "/privileged"), Value::Null | Value::Bool(false)) {
        wrong(format!("{name} is privileged"), "leave `privileged` out");
    }
    if !matches!(at(own, "/procMount").as_str(), None | Some("Default")) {
        wrong(format!("{name} sees more of /proc"), "leave `procMount` out");
    }
    for port in list(container, "/ports") {
        if !matches!(at(port, "/hostPort").as_u64(), None | Some(0)) {
            wrong(format!("{name} takes a port of the node"), "leave `hostPort` out");
        }
    }
    for pointer in [
        "/startupProbe/httpGet/host",
        "/livenessProbe/httpGet/host",
        "/readinessProbe/httpGet/host",
        "/lifecycle/preStop/httpGet/host",
        "/lifecycle/postStart/httpGet/host",
    ] {
        if !text(container, pointer).is_empty() {
            wrong(
                format!("{name}: the node is made to ask another host ({pointer})"),
                "leave `host` out",
            );
        }
    }
}

/// What the standard says of a securityContext, of a pod or of a container.
fn context(whose: &str, context: &Value, wrong: &mut impl FnMut(String, &str)) {
    if at(context, "/runAsUser").as_u64() == Some(0) {
        wrong(format!("{whose} runs as root"), "set `runAsUser: 65532`");
    }
    if at(context, "/windowsOptions/hostProcess").as_bool() == Some(true) {
        wrong(
            format!("{whose} is a process of the host"),
            "leave `hostProcess` out",
        );
    }
    if !matches!(
        at(context, "/appArmorProfile/type").as_str(),
        None | Some("RuntimeDefault" | "Localhost")
    ) {
        wrong(
            format!("{whose} is not confined by AppArmor"),
            "leave `appArmorProfile` out",
        );
    }
    let se_linux = at(context, "/seLinuxOptions");
    if !SELINUX_TYPES.contains(&text(se_linux, "/type"))
        || !text(se_linux, "/user").is_empty()
        || !text(se_linux, "/role").is_empty()
    {
        wrong(
            format!("{whose} has SELinux labels of its own"),
            "leave `seLinuxOptions` out",
        );
    }
}

/// Rule `service-links`.
pub(super) fn service_links(set: &Set, _: &Facts, findings: &mut Findings) {
    for workload in Workload::all(set) {
        if at(workload.pod(), "/enableServiceLinks").as_bool() != Some(false) {
            findings.at(
                workload.object,
                "takes variables of every Service of the namespace: one named redis sets REDIS_PORT to `tcp://…`",
                "set `enableServiceLinks: false`",
            );
        }
    }
}

/// Rule `resources`.
pub(super) fn resources(set: &Set, _: &Facts, findings: &mut Findings) {
    for workload in Workload::all(set) {
        for container in workload.containers() {
            for part in ["requests", "limits"] {
                for of in ["cpu", "memory"] {
                    let value = at(container, &format!("/resources/{part}/{of}"));
                    if value.as_str().is_none_or(str::is_empty) && value.as_u64().is_none() {
                        findings.at(
                            workload.object,
                            format!("the container `{}` has no {of} in {part}", text(container, "/name")),
                            "say it: the autoscaler counts in parts of requests, and limits keep the node alive",
                        );
                    }
                }
            }
            for of in ["cpu", "memory", "ephemeral-storage"] {
                let [request, limit] = ["requests", "limits"].map(|part| {
                    let value = at(container, &format!("/resources/{part}/{of}"));
                    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                    let read = match of {
                        "cpu" => quantity::millicores(&text),
                        _ => quantity::bytes(&text),
                    };
                    if read.is_none() && !value.is_null() {
                        findings.at(
                            workload.object,
                            format!(
                                "the container `{}` has `{text}` of {of} in {part}, which cannot be read",
                                self::text(container, "/name")
                            ),
                            "write a quantity as 250m, 512Mi or 2Gi",
                        );
                    }
                    read
                });
                if let (Some(request), Some(limit)) = (request, limit)
                    && limit < request
                {
                    findings.at(
                        workload.object,
                        format!(
                            "the container `{}` asks for more {of} than its limit",
                            text(container, "/name")
                        ),
                        "lower the request, or raise the limit: no cluster takes it so",
                    );
                }
            }
        }
    }
}

/// Rule `image`.
pub(super) fn image(set: &Set, _: &Facts, findings: &mut Findings) {
    for workload in Workload::all(set) {
        for container in workload.containers() {
            let image = text(container, "/image");
            let last = image.rsplit('/').next().unwrap_or(image);
            let tag = last.split_once(':').map(|(_, tag)| tag);
            let pinned =
                last.contains("@sha256:") || matches!(tag, Some(tag) if !tag.is_empty() && tag != "latest");
            if !pinned {
                findings.at(
                    workload.object,
                    format!("the image `{image}` names no version"),
                    "name one by tag or digest: two pods must not run two versions",
                );
            }
        }
    }
}
