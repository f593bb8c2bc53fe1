//! Rules about how many pods there are, and what all of them take together.

use super::Facts;
use crate::k8s::finding::Findings;
use crate::k8s::objects::{Object, Set};
use crate::k8s::pod::{self, Workload};
use policy_server::config::Database;
use serde_json::Value;

/// Connections of one server beside its pool: the one that listens for changes.
const BESIDE_THE_POOL: u64 = 1;

/// Fewest replicas of a workload; `None` where nothing readable says it.
fn fewest(set: &Set, workload: Workload<'_>) -> Option<u64> {
    match workload.autoscaler(set) {
        Some(hpa) => hpa.at("/spec/minReplicas").as_u64(),
        None => workload.object.at("/spec/replicas").as_u64(),
    }
}

/// Rule `pdb`.
pub(super) fn pdb(set: &Set, _: &Facts, findings: &mut Findings) {
    for budget in set.of("PodDisruptionBudget") {
        let available = budget.at("/spec/minAvailable");
        let unavailable = budget.at("/spec/maxUnavailable");
        let help = "set minAvailable to a number below the fewest replicas";
        let Some(least) = available.as_u64() else {
            // A percentage of few pods rounds up to all of them.
            if unavailable.as_u64().is_none_or(|most| most == 0) {
                findings.at(
                    budget,
                    format!("minAvailable is {available}, maxUnavailable {unavailable}: no number of pods that may go"),
                    help,
                );
            }
            continue;
        };
        let workloads = Workload::all(set).filter(|w| {
            w.object.namespace() == budget.namespace() && w.matches(budget.at("/spec/selector/matchLabels"))
        });
        for workload in workloads {
            match fewest(set, workload) {
                Some(replicas) if least < replicas => {}
                Some(replicas) => findings.at(
                    budget,
                    format!("minAvailable {least} of {replicas} replicas: no node can be drained"),
                    help,
                ),
                None => findings.at(
                    budget,
                    format!(
                        "the fewest replicas that {} has are not said",
                        workload.object.label()
                    ),
                    "give its autoscaler `minReplicas`",
                ),
            }
        }
    }
}

/// Rule `hpa-target`.
pub(super) fn hpa_target(set: &Set, _: &Facts, findings: &mut Findings) {
    for hpa in set.of("HorizontalPodAutoscaler") {
        let (kind, name) = (
            hpa.text("/spec/scaleTargetRef/kind"),
            hpa.text("/spec/scaleTargetRef/name"),
        );
        match set.find(kind, hpa.namespace(), name) {
            Some(target) if target.text("/apiVersion") == hpa.text("/spec/scaleTargetRef/apiVersion") => {}
            Some(target) => findings.at(
                hpa,
                format!(
                    "its target {kind}/{name} is of {}, not of {}",
                    target.text("/apiVersion"),
                    hpa.text("/spec/scaleTargetRef/apiVersion")
                ),
                "write the apiVersion of the target",
            ),
            None => findings.at(
                hpa,
                format!("its target {kind}/{name} is not in these manifests"),
                "name the Deployment or StatefulSet of the pods",
            ),
        }
        let (least, most) = (hpa.at("/spec/minReplicas"), hpa.at("/spec/maxReplicas"));
        let right = matches!((least.as_u64(), most.as_u64()), (Some(least), Some(most)) if 0 < least && least <= most);
        if !right {
            findings.at(
                hpa,
                format!("minReplicas {least}, maxReplicas {most}"),
                "say both, the smaller one first",
            );
        }
    }
}

/// Rule `replicas`.
pub(super) fn replicas(set: &Set, _: &Facts, findings: &mut Findings) {
    for workload in Workload::all(set) {
        let replicas = workload.object.at("/spec/replicas");
        match (workload.autoscaler(set), replicas) {
            (Some(_), Value::Null) => {}
            (Some(hpa), replicas) => findings.at(
                workload.object,
                format!(
                    "`replicas: {replicas}` beside {}: each apply sets it back",
                    hpa.label()
                ),
                "leave `replicas` out",
            ),
            (None, replicas) if replicas.as_u64().is_some() => {}
            (None, _) => findings.at(
                workload.object,
                "neither `replicas` nor an autoscaler says how many pods there are",
                "say `replicas`",
            ),
        }
    }
}

/// Rule `connections`.
pub(super) fn connections(set: &Set, facts: &Facts, findings: &mut Findings) {
    for (workload, _, config) in pod::configured(set) {
        if !matches!(config.store.database, Database::Postgres(_)) {
            continue;
        }
        let most = match workload.autoscaler(set) {
            Some(hpa) => hpa.at("/spec/maxReplicas").as_u64(),
            None => workload.object.at("/spec/replicas").as_u64(),
        };
        let (Some(most), Some(surge)) = (most, surge(workload.object, most.unwrap_or(0))) else {
            findings.at(
                workload.object,
                "how many pods there are at most cannot be told",
                "write maxReplicas and maxSurge as numbers",
            );
            continue;
        };
        let each = u64::from(config.store.pool) + BESIDE_THE_POOL;
        let all = each.saturating_mul(most.saturating_add(surge));
        if all > facts.connections {
            findings.at(
                workload.object,
                format!(
                    "(DATABASE_POOL {} + 1) x ({most} replicas + {surge} more in a rollout) = {all} connections, and the \
                     database gives {}",
                    config.store.pool, facts.connections
                ),
                "lower DATABASE_POOL or maxReplicas, or raise max_connections and tell with --connections",
            );
        }
    }
}

/// Pods beside those that are wanted while new ones take their places; `None` where it cannot be told.
fn surge(object: &Object, replicas: u64) -> Option<u64> {
    if object.kind() == "StatefulSet" || object.text("/spec/strategy/type") == "Recreate" {
        return Some(0);
    }
    match object.at("/spec/strategy/rollingUpdate/maxSurge") {
        // 25 %, rounded up.
        Value::Null => Some(replicas.div_ceil(4)),
        surge => surge.as_u64(),
    }
}
