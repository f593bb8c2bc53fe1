//! Rules about who reaches the pods, whom they reach, and by which way.

use super::Facts;
use super::references::{backends, policed};
use crate::k8s::finding::Findings;
use crate::k8s::objects::{Object, Set, at, list, text};
use crate::k8s::pod::{self, Environment, Workload};
use crate::k8s::quantity;
use policy_server::config::Config;
use serde_json::Value;

/// Rule `network-policy`.
pub(super) fn network_policy(set: &Set, _: &Facts, findings: &mut Findings) {
    for policy in set.of("NetworkPolicy") {
        if policed(set, policy).is_empty() {
            findings.at(
                policy,
                format!(
                    "selects no pod of these manifests: {}",
                    policy.at("/spec/podSelector")
                ),
                "select by the labels of `spec.template.metadata.labels`",
            );
        }
        if !policy.at("/spec/podSelector/matchExpressions").is_null() {
            findings.at(
                policy,
                "`matchExpressions` are not read here",
                "select by `matchLabels`",
            );
        }
        for direction in ["Ingress", "Egress"] {
            if !list(&policy.value, "/spec/policyTypes")
                .iter()
                .any(|t| t == direction)
            {
                findings.at(
                    policy,
                    format!("says nothing about {direction}, so all of it is allowed"),
                    "list both in `policyTypes`",
                );
            }
        }
        for rule in list(&policy.value, "/spec/ingress") {
            if list(rule, "/from").is_empty() || list(rule, "/ports").is_empty() {
                findings.at(
                    policy,
                    "a rule without `from` or without `ports` lets everybody in, or to every port",
                    "say from where, and to which ports",
                );
            }
            for from in list(rule, "/from") {
                let empty = |pointer: &str| {
                    from.pointer(pointer)
                        .and_then(Value::as_object)
                        .is_some_and(serde_json::Map::is_empty)
                };
                let all = empty("/namespaceSelector")
                    && (from.get("podSelector").is_none() || empty("/podSelector"));
                if all || text(from, "/ipBlock/cidr").ends_with("/0") {
                    findings.at(
                        policy,
                        format!("lets everybody in: {from}"),
                        "name namespaces, pods or networks",
                    );
                }
            }
        }
    }
    for workload in Workload::all(set) {
        let policies = of(set, workload);
        if policies.is_empty() {
            findings.at(
                workload.object,
                "no NetworkPolicy selects its pods: everything in the cluster reaches them",
                "add a NetworkPolicy with their labels",
            );
        }
    }
    for (workload, environment, config) in pod::configured(set) {
        let policies = of(set, workload);
        if policies.is_empty() {
            continue;
        }
        for (port, protocol, what) in destinations(&environment, &config) {
            let open = policies.iter().any(|policy| allows(policy, port, protocol));
            if !open {
                findings.at(
                    workload.object,
                    format!("its NetworkPolicy keeps it from {what}, {protocol} {port}"),
                    "add an egress rule, or the component egress-https",
                );
            }
        }
    }
}

/// NetworkPolicies of these pods.
fn of<'s>(set: &'s Set, workload: Workload<'_>) -> Vec<&'s Object> {
    set.of("NetworkPolicy")
        .filter(|policy| {
            policed(set, policy)
                .iter()
                .any(|w| std::ptr::eq(w.object, workload.object))
        })
        .collect()
}

/// What the settings make the pods ask: port, protocol, and for what.
fn destinations(environment: &Environment, config: &Config) -> Vec<(u64, &'static str, String)> {
    let mut all = vec![(53, "UDP", "DNS".to_owned()), (53, "TCP", "DNS".to_owned())];
    let number = |name: &str, default: u64| {
        environment
            .text(name)
            .map_or(Some(default), |text| text.parse().ok())
            .unwrap_or(0)
    };
    if let policy_server::config::Database::Postgres(_) = config.store.database {
        all.push((number("DATABASE_PORT", 5432), "TCP", "PostgreSQL".to_owned()));
    }
    if environment.text("REDIS_HOST").is_some() {
        all.push((number("REDIS_PORT", 6379), "TCP", "Redis".to_owned()));
    }
    for name in ["BUNDLE", "JWT_JWKS", "OTLP_ENDPOINT"] {
        let Some(url) = environment.text(name) else {
            continue;
        };
        if name == "OTLP_ENDPOINT" && config.telemetry.otlp.is_none() {
            continue;
        }
        if let Some(port) = port_of(url) {
            all.push((port, "TCP", name.to_owned()));
        }
    }
    all
}

/// The port of a URL; `None` for what is a file.
fn port_of(url: &str) -> Option<u64> {
    let (scheme, rest) = url.split_once("://")?;
    let authority = rest.split(['/', '?']).next().unwrap_or(rest);
    let host = authority.rsplit('@').next().unwrap_or(authority);
    let named = host
        .rsplit_once(':')
        .and_then(|(_, port)| port.parse::<u64>().ok());
    Some(named.unwrap_or(if scheme == "https" { 443 } else { 80 }))
}

fn allows(policy: &Object, port: u64, protocol: &str) -> bool {
    list(&policy.value, "/spec/egress").iter().any(|rule| {
        let ports = list(rule, "/ports");
        ports.is_empty()
            || ports.iter().any(|p| {
                let of = at(p, "/protocol").as_str().unwrap_or("TCP");
                let first = at(p, "/port").as_u64();
                let last = at(p, "/endPort").as_u64().or(first);
                let within =
                    matches!((first, last), (Some(first), Some(last)) if (first..=last).contains(&port));
                of == protocol && (within || at(p, "/port").is_null())
            })
    })
}

/// What stands in front of annotations of ingress-nginx.
const INGRESS_NGINX: &str = "nginx.ingress.kubernetes.io/";
/// What stands in front of annotations of the controller of F5.
const F5_NGINX: &str = "nginx.org/";

/// Annotations that controllers read, as far as they have a place in front of this server. Others are ignored by the
/// controllers without a word.
const ANNOTATIONS: &[(&str, &[&str])] = &[
    (
        "cert-manager.io/",
        &[
            "cluster-issuer",
            "issuer",
            "issuer-kind",
            "issuer-group",
            "common-name",
            "duration",
            "renew-before",
            "private-key-algorithm",
            "private-key-size",
            "private-key-rotation-policy",
        ],
    ),
    (
        INGRESS_NGINX,
        &[
            "affinity",
            "allowlist-source-range",
            "auth-tls-error-page",
            "auth-tls-match-cn",
            "auth-tls-pass-certificate-to-upstream",
            "auth-tls-secret",
            "auth-tls-verify-client",
            "auth-tls-verify-depth",
            "auth-url",
            "backend-protocol",
            "canary",
            "canary-by-header",
            "canary-by-header-value",
            "canary-weight",
            "client-body-buffer-size",
            "cors-allow-headers",
            "cors-allow-methods",
            "cors-allow-origin",
            "custom-http-errors",
            "denylist-source-range",
            "enable-access-log",
            "enable-cors",
            "enable-opentelemetry",
            "force-ssl-redirect",
            "limit-allowlist",
            "limit-burst-multiplier",
            "limit-connections",
            "limit-rate",
            "limit-rate-after",
            "limit-rpm",
            "limit-rps",
            "limit-whitelist",
            "load-balance",
            "proxy-body-size",
            "proxy-buffering",
            "proxy-buffer-size",
            "proxy-connect-timeout",
            "proxy-http-version",
            "proxy-next-upstream",
            "proxy-next-upstream-timeout",
            "proxy-next-upstream-tries",
            "proxy-read-timeout",
            "proxy-request-buffering",
            "proxy-send-timeout",
            "proxy-ssl-name",
            "proxy-ssl-secret",
            "proxy-ssl-server-name",
            "proxy-ssl-verify",
            "proxy-ssl-verify-depth",
            "server-alias",
            "service-upstream",
            "ssl-passthrough",
            "ssl-redirect",
            "upstream-hash-by",
            "upstream-vhost",
            "use-regex",
            "whitelist-source-range",
        ],
    ),
    (
        F5_NGINX,
        &[
            "client-body-buffer-size",
            "client-max-body-size",
            "grpc-services",
            "hsts",
            "hsts-max-age",
            "lb-method",
            "limit-req-burst",
            "limit-req-delay",
            "limit-req-dry-run",
            "limit-req-key",
            "limit-req-log-level",
            "limit-req-no-delay",
            "limit-req-rate",
            "limit-req-reject-code",
            "limit-req-scale",
            "limit-req-zone-size",
            "max-conns",
            "mergeable-ingress-type",
            "proxy-buffering",
            "proxy-connect-timeout",
            "proxy-read-timeout",
            "proxy-send-timeout",
            "redirect-to-https",
            "ssl-services",
        ],
    ),
];

/// Annotations one of which limits how often somebody asks.
const LIMITS: &[(&str, &[&str])] = &[
    (INGRESS_NGINX, &["limit-rps", "limit-rpm"]),
    (F5_NGINX, &["limit-req-rate"]),
];

/// Annotations that say how large a body may be.
const BODIES: &[&str] = &[
    "nginx.ingress.kubernetes.io/proxy-body-size",
    "nginx.org/client-max-body-size",
];

/// Rule `ingress`.
pub(super) fn ingress(set: &Set, _: &Facts, findings: &mut Findings) {
    let configured = pod::configured(set).next();
    let body = configured.as_ref().map(|(_, _, config)| config.limits.body);
    let tls = configured.is_some_and(|(_, _, config)| config.net.tls.is_some());
    for ingress in set.of("Ingress") {
        annotations(ingress, findings);
        limits(ingress, findings);
        protocols(set, ingress, tls, findings);
        let annotation = |name: &str| {
            ingress
                .at("/metadata/annotations")
                .get(name)
                .and_then(Value::as_str)
        };
        if let Some(body) = body {
            let size = BODIES.iter().find_map(|name| annotation(name));
            if size.and_then(quantity::nginx_bytes) != u64::try_from(body).ok() {
                findings.at(
                    ingress,
                    format!(
                        "lets bodies of {} through, and MAX_BODY is {body} bytes",
                        size.unwrap_or("1m")
                    ),
                    "give the annotation (proxy-body-size, client-max-body-size) and MAX_BODY one size",
                );
            }
        }
        if ingress.text("/spec/ingressClassName").is_empty() {
            findings.at(
                ingress,
                "has no `ingressClassName`: which controller takes it depends on the cluster",
                "name the class",
            );
        }
        for rule in list(&ingress.value, "/spec/rules") {
            let host = text(rule, "/host");
            let certificate = list(&ingress.value, "/spec/tls").iter().find(|tls| {
                !text(tls, "/secretName").is_empty() && list(tls, "/hosts").iter().any(|h| h == host)
            });
            match certificate {
                None => findings.at(
                    ingress,
                    format!("the host `{host}` has no TLS: tokens go in clear text"),
                    "list it in `tls`, with a `secretName`",
                ),
                Some(tls) => {
                    let secret = text(tls, "/secretName");
                    if !issued(set, ingress, secret) {
                        findings.at(
                            ingress,
                            format!("nothing makes the certificate `{secret}`"),
                            "annotate one Ingress that names it with `cert-manager.io/cluster-issuer`",
                        );
                    }
                }
            }
            for path in list(rule, "/http/paths") {
                if text(path, "/path").trim_end_matches('/').is_empty() {
                    findings.at(ingress, OPEN, "open `/api/` and the gRPC service only");
                }
                if !["Prefix", "Exact"].contains(&text(path, "/pathType")) {
                    findings.at(
                        ingress,
                        format!(
                            "what the path `{}` of the type `{}` opens depends on the controller",
                            text(path, "/path"),
                            text(path, "/pathType")
                        ),
                        "use the pathType Prefix or Exact",
                    );
                }
            }
        }
        if !ingress.at("/spec/defaultBackend").is_null() || list(&ingress.value, "/spec/rules").is_empty() {
            findings.at(ingress, OPEN, "leave `defaultBackend` out, and write rules");
        }
    }
    for service in set.of("Service") {
        if !matches!(service.at("/spec/type").as_str(), None | Some("ClusterIP")) {
            findings.at(
                service,
                format!(
                    "the type {} opens the pods to outside of the cluster, without TLS and limits",
                    service.text("/spec/type")
                ),
                "leave `type` out, and use an Ingress or the Gateway API",
            );
        }
        for name in ["externalIPs", "externalName"] {
            if !service.at(&format!("/spec/{name}")).is_null() {
                findings.at(service, format!("`{name}` leads past the way in"), "leave it out");
            }
        }
    }
    routes(set, findings);
}

/// What is said of a way in that leads everywhere.
const OPEN: &str = "is open below `/`: health, documentation, and what a later version serves there";

fn annotations(ingress: &Object, findings: &mut Findings) {
    let all = ingress.at("/metadata/annotations").as_object();
    for (name, value) in all.into_iter().flatten() {
        if name == "kubernetes.io/ingress.class" {
            findings.at(
                ingress,
                "`kubernetes.io/ingress.class` is deprecated",
                "use `spec.ingressClassName`",
            );
            continue;
        }
        let known = ANNOTATIONS.iter().any(|(prefix, names)| {
            name.strip_prefix(prefix)
                .is_some_and(|name| names.contains(&name))
        });
        if !known {
            findings.at(
                ingress,
                format!("the annotation `{name}` is none that a controller is known to read"),
                "for limits there are limit-rps, limit-rpm and limit-connections; else add it to \
                 xtask/src/k8s/rules/access.rs",
            );
        }
        if !value.is_string() {
            findings.at(
                ingress,
                format!("the annotation `{name}` is no text"),
                "put it into quotes",
            );
        }
    }
}

/// That the controller whose annotations it has limits how often somebody asks.
fn limits(ingress: &Object, findings: &mut Findings) {
    let limited = LIMITS.iter().any(|(prefix, names)| {
        names.iter().any(|name| {
            ingress
                .at("/metadata/annotations")
                .get(format!("{prefix}{name}"))
                .and_then(Value::as_str)
                .is_some_and(|limit| limit.starts_with(|c: char| ('1'..='9').contains(&c)))
        })
    });
    if !limited {
        findings.at(
            ingress,
            "limits nobody: no annotation says how often one address may ask",
            "annotate it with `nginx.ingress.kubernetes.io/limit-rps`, or `nginx.org/limit-req-rate`",
        );
    }
}

/// That the controller speaks to the pods as they do.
fn protocols(set: &Set, ingress: &Object, tls: bool, findings: &mut Findings) {
    let annotation = |prefix: &str, name: &str| {
        let all = ingress.at("/metadata/annotations");
        all.get(format!("{prefix}{name}")).and_then(Value::as_str)
    };
    let is_of = |prefix: &str| {
        let all = ingress.at("/metadata/annotations").as_object();
        all.is_some_and(|all| all.keys().any(|name| name.starts_with(prefix)))
    };
    for (service, port) in backends(ingress) {
        let ports = set.find("Service", ingress.namespace(), service);
        let is_grpc = ports.is_some_and(|service| {
            list(&service.value, "/spec/ports")
                .iter()
                .filter(|p| port == at(p, "/port") || port == at(p, "/name"))
                .any(|p| {
                    [at(p, "/name"), at(p, "/targetPort")]
                        .iter()
                        .any(|p| *p == "grpc")
                })
        });
        let wanted = match (is_grpc, tls) {
            (true, false) => "GRPC",
            (true, true) => "GRPCS",
            (false, false) => "HTTP",
            (false, true) => "HTTPS",
        };
        let said = annotation(INGRESS_NGINX, "backend-protocol").unwrap_or("HTTP");
        if is_of(INGRESS_NGINX) && said != wanted {
            findings.at(
                ingress,
                format!("speaks {said} to the port {port} of {service}, which speaks {wanted}"),
                format!("annotate it with `{INGRESS_NGINX}backend-protocol: {wanted}`"),
            );
        }
        let mut listed = annotation(F5_NGINX, "grpc-services")
            .unwrap_or_default()
            .split(',');
        if is_of(F5_NGINX) && listed.any(|listed| listed.trim() == service) != is_grpc {
            findings.at(
                ingress,
                format!("speaks otherwise to the port {port} of {service} than with {wanted}"),
                format!("list what speaks gRPC, and nothing else, in `{F5_NGINX}grpc-services`"),
            );
        }
    }
}

/// Whether an Ingress or a Gateway that names this certificate has it made by cert-manager.
fn issued(set: &Set, ingress: &Object, secret: &str) -> bool {
    set.of("Ingress").any(|other| {
        other.namespace() == ingress.namespace()
            && list(&other.value, "/spec/tls")
                .iter()
                .any(|tls| text(tls, "/secretName") == secret)
            && has_issuer(other)
    })
}

fn has_issuer(object: &Object) -> bool {
    ["cert-manager.io/cluster-issuer", "cert-manager.io/issuer"]
        .iter()
        .any(|name| object.at("/metadata/annotations").get(*name).is_some())
}

/// The same of the Gateway API.
fn routes(set: &Set, findings: &mut Findings) {
    for gateway in set.of("Gateway") {
        for listener in list(&gateway.value, "/spec/listeners") {
            let certificate = list(listener, "/tls/certificateRefs");
            if text(listener, "/protocol") != "HTTPS" || certificate.is_empty() {
                findings.at(
                    gateway,
                    format!(
                        "the listener `{}` has no TLS: tokens go in clear text",
                        text(listener, "/name")
                    ),
                    "use HTTPS, with a certificate",
                );
            }
        }
        if !has_issuer(gateway) {
            findings.at(
                gateway,
                "nothing makes its certificates",
                "annotate it with `cert-manager.io/cluster-issuer`",
            );
        }
    }
    for kind in ["HTTPRoute", "GRPCRoute"] {
        for route in set.of(kind) {
            for parent in list(&route.value, "/spec/parentRefs") {
                let Some(gateway) = set.find("Gateway", route.namespace(), text(parent, "/name")) else {
                    continue; // `reference` says so.
                };
                let hosts = list(&route.value, "/spec/hostnames");
                let listener = list(&gateway.value, "/spec/listeners").iter().find(|listener| {
                    text(listener, "/name") == text(parent, "/sectionName")
                        && hosts.iter().all(|host| host == at(listener, "/hostname"))
                });
                if listener.is_none() || hosts.is_empty() {
                    findings.at(
                        route,
                        format!(
                            "{} has no listener `{}` for the names of this route",
                            gateway.label(),
                            text(parent, "/sectionName")
                        ),
                        "give the listener and the route one host name",
                    );
                }
            }
            for rule in list(&route.value, "/spec/rules") {
                let matches = list(rule, "/matches");
                let everything = |m: &Value| match kind {
                    "HTTPRoute" => text(m, "/path/value").trim_end_matches('/').is_empty(),
                    _ => text(m, "/method/service").is_empty(),
                };
                if matches.is_empty() || matches.iter().any(everything) {
                    findings.at(route, OPEN, "open `/api` and the gRPC service only");
                }
                let kinds = matches
                    .iter()
                    .filter_map(|m| m.pointer("/path/type").or_else(|| m.pointer("/method/type")));
                for told in kinds.filter(|told| !["PathPrefix", "Exact"].iter().any(|known| told == known)) {
                    findings.at(
                        route,
                        format!("what a match of the type {told} opens cannot be told"),
                        "use the type PathPrefix or Exact",
                    );
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::port_of;

    #[test]
    fn urls_have_ports() {
        assert_eq!(port_of("https://a/b"), Some(443));
        assert_eq!(port_of("http://u:p@a:4317/b"), Some(4317));
        assert_eq!(port_of("https://[::1]:8443?x"), Some(8443));
        assert_eq!(port_of("/a/file"), None);
    }
}
