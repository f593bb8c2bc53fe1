//! Every query, for both databases: `sqlite.rs` and `postgres.rs` each compile this file and those of `queries/` with their own `Db`
//! (the driver), `Handle` (the type that implements [`Store`]) and the few fragments of SQL that differ.
//!
//! The store is a list of functions, each in the file of its subject.
//!
//! # Input
//!
//! Values reach SQL as bound parameters only; what is pushed onto a [`QueryBuilder`](sqlx::QueryBuilder) is text of these files.

#[path = "queries/bundles.rs"]
mod bundles;
#[path = "queries/decisions.rs"]
mod decisions;
#[path = "queries/keys.rs"]
mod keys;
#[path = "queries/pages.rs"]
mod pages;
#[path = "queries/policies.rs"]
mod policies;
#[path = "queries/policy_writes.rs"]
mod policy_writes;
#[path = "queries/trail.rs"]
mod trail;
#[path = "queries/transaction.rs"]
mod transaction;
#[path = "queries/usage.rs"]
mod usage;

use super::super::model::{
    ActiveSet, ApiKey, AuditRecord, BundleRecord, DecisionFilter, DecisionRecord, DecisionStats, IdPlace,
    KeyChange, NewAudit, NewBundle, Page, PolicyFilter, PolicyKey, PolicyRecord, PolicyVersion, PolicyWrite,
    Rejection, Slice,
};
use super::super::{Base, Result, Store};
use super::{Handle, NAME};
use async_trait::async_trait;
use std::time::Duration;

/// How long an operation may take that touches a few rows.
const SHORT: Duration = Duration::from_secs(10);

/// How long an operation may take that reads the decision log.
const LONG: Duration = Duration::from_secs(60);

#[async_trait]
impl Store for Handle {
    fn backend(&self) -> &'static str {
        NAME
    }

    async fn ping(&self) -> Result<()> {
        self.revision().await.map(|_| ())
    }

    async fn check_writes(&self, fresh: Duration) -> Result<()> {
        transaction::check_writes(self, fresh).await
    }

    async fn revision(&self) -> Result<u64> {
        transaction::revision(self).await
    }

    async fn active(&self) -> Result<ActiveSet> {
        policies::active(self).await
    }

    async fn changed(&self) {
        self.signal.wait().await;
    }

    async fn policy(&self, key: &PolicyKey) -> Result<Option<PolicyRecord>> {
        policies::policy(self, key).await
    }

    async fn policy_without_text(&self, key: &PolicyKey) -> Result<Option<PolicyRecord>> {
        policies::policy_without_text(self, key).await
    }

    async fn places(&self, id: &str, among: Option<&[String]>) -> Result<Vec<IdPlace>> {
        policies::places(self, id, among).await
    }

    async fn policies(&self, filter: &PolicyFilter, page: &Page) -> Result<Slice<PolicyRecord>> {
        policies::policies(self, filter, page).await
    }

    async fn versions(&self, key: &PolicyKey, page: &Page) -> Result<Slice<PolicyVersion>> {
        policies::versions(self, key, page).await
    }

    async fn version(&self, key: &PolicyKey, version: u64) -> Result<Option<PolicyVersion>> {
        policies::version(self, key, version).await
    }

    async fn authors(&self, key: &PolicyKey, digest: &str) -> Result<Vec<(String, u64)>> {
        policies::authors(self, key, digest).await
    }

    async fn all_versions(&self, after: Option<(&PolicyKey, u64)>, limit: u32) -> Result<Vec<PolicyVersion>> {
        policies::all_versions(self, after, limit).await
    }

    async fn write_policy(&self, write: &PolicyWrite, audit: &NewAudit) -> Result<PolicyRecord> {
        policy_writes::write_policy(self, write, audit).await
    }

    async fn reject_policy(
        &self,
        key: &PolicyKey,
        version: u64,
        rejection: &Rejection,
        audit: &NewAudit,
    ) -> Result<PolicyRecord> {
        policy_writes::reject_policy(self, key, version, rejection, audit).await
    }

    async fn delete_policy(
        &self,
        key: &PolicyKey,
        expected: Option<u64>,
        base: Base,
        audit: &NewAudit,
    ) -> Result<u64> {
        policy_writes::delete_policy(self, key, expected, base, audit).await
    }

    async fn put_bundle(
        &self,
        bundle: &NewBundle,
        base: Base,
        audit: &NewAudit,
    ) -> Result<(BundleRecord, u64)> {
        bundles::put_bundle(self, bundle, base, audit).await
    }

    async fn activate_bundle(&self, digest: Option<&str>, base: Base, audit: &NewAudit) -> Result<u64> {
        bundles::activate_bundle(self, digest, base, audit).await
    }

    async fn bundles(&self, page: &Page) -> Result<Slice<BundleRecord>> {
        bundles::bundles(self, page).await
    }

    async fn bundle(&self, digest: &str) -> Result<Option<BundleRecord>> {
        bundles::bundle(self, digest).await
    }

    async fn active_bundle(&self) -> Result<Option<BundleRecord>> {
        bundles::active_bundle(self).await
    }

    async fn bundle_bytes(&self, digest: &str) -> Result<Option<Vec<u8>>> {
        bundles::bundle_bytes(self, digest).await
    }

    async fn key(&self, id: &str) -> Result<Option<ApiKey>> {
        keys::key(self, id).await
    }

    async fn keys(&self, page: &Page) -> Result<Slice<ApiKey>> {
        keys::keys(self, page).await
    }

    async fn change_key(&self, change: &KeyChange, audit: &NewAudit) -> Result<ApiKey> {
        keys::change_key(self, change, audit).await
    }

    async fn append_decisions(&self, decisions: &[DecisionRecord]) -> Result<()> {
        decisions::append_decisions(self, decisions).await
    }

    async fn decision(
        &self,
        request_id: &str,
        filter: &DecisionFilter,
        page: &Page,
    ) -> Result<Slice<DecisionRecord>> {
        decisions::decision(self, request_id, filter, page).await
    }

    async fn decisions(&self, filter: &DecisionFilter, page: &Page) -> Result<Slice<DecisionRecord>> {
        decisions::decisions(self, filter, page).await
    }

    async fn decision_stats(&self, filter: &DecisionFilter) -> Result<DecisionStats> {
        decisions::decision_stats(self, filter).await
    }

    async fn prune_decisions(&self, before_ms: i64, limit: u32) -> Result<u64> {
        decisions::prune_decisions(self, before_ms, limit).await
    }

    async fn append_audit(&self, audit: &NewAudit) -> Result<AuditRecord> {
        trail::append_audit(self, audit).await
    }

    async fn audit(&self, after: u64, limit: u32) -> Result<Vec<AuditRecord>> {
        trail::audit(self, after, limit).await
    }

    async fn audit_head(&self) -> Result<(u64, [u8; 32])> {
        trail::audit_head(self).await
    }

    async fn close(&self) {
        self.shut().await;
    }
}
