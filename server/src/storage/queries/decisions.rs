//! The decision log: written, searched, counted, pruned.

use super::super::super::model::{
    DecisionFilter, DecisionId, DecisionRecord, DecisionStats, Page, RuleCount, Slice,
};
use super::super::super::rows::{
    DecisionRow, OutcomeRow, RuleRow, SizeRow, clean, clean_key, decision_id, signed,
};
use super::super::super::{PAGE_BYTES, Result, StoreError, within};
use super::super::{BYTES, Bound, Db, Handle, MATCHED, POLICY_FIRED, RULE_FIRED, RULES, bound, is_kept};
use super::LONG;
use super::pages::{among, below, clean_list, limit};
use super::transaction::{Transaction, query};
use sqlx::QueryBuilder;
use std::collections::BTreeMap;
use std::time::Instant;

/// Decisions in one statement: 14 parameters each, and databases allow 32766.
pub(super) const ROWS: usize = 500;

/// Rules in statistics.
pub(super) const TOP_RULES: i64 = 20;

/// Outcomes that statistics always name.
pub(super) const OUTCOMES: [&str; 4] = ["allow", "deny", "modify", "warn"];

macro_rules! select_decisions {
    () => {
        "SELECT d.seq, d.id, d.request_id, d.at_ms, d.namespace, d.subject, d.decision, d.reason, d.matched_rules, \
         d.matched_policies, d.errors, d.revision, d.duration_ns, d.cached, d.context"
    };
}

/// How long the texts of decisions are, without reading them.
pub(super) const SIZES: &str = "SELECT CAST(COALESCE(octet_length(d.context), 0) + COALESCE(octet_length(d.reason), 0) \
                     + octet_length(d.matched_rules) + octet_length(d.matched_policies) AS BIGINT) AS bytes";

impl Handle {
    /// Begins a transaction that reads the decision log, and ends at `until`, as long as the second part of the answer lives.
    async fn read_log(&self, until: Option<Instant>) -> Result<(Transaction, Option<Bound>)> {
        let mut read = self.begin_read().await?;
        let bound = match until {
            Some(until) => Some(bound(read.connection()?, until).await?),
            None => None,
        };
        Ok((read, bound))
    }

    /// As many of the decisions that `matching` asks for as make a page, and whether there are more. Sizes first, so that no
    /// text is read that does not fit.
    async fn page_of_log(
        &self,
        filter: &DecisionFilter,
        page: &Page,
        matching: impl Fn(&mut QueryBuilder<Db>, i64),
    ) -> Result<(Vec<DecisionRow>, bool)> {
        let (mut read, _bound) = self.read_log(filter.until).await?;
        let mut sql = QueryBuilder::<Db>::new(SIZES);
        matching(&mut sql, limit(page));
        let sizes = sql
            .build_query_as::<SizeRow>()
            .persistent(is_kept())
            .fetch_all(read.connection()?)
            .await?;
        let mut items = Vec::new();
        let fits = fitting(&sizes, page);
        if !sizes.is_empty() {
            let mut sql = QueryBuilder::<Db>::new(select_decisions!());
            matching(&mut sql, i64::try_from(fits).unwrap_or(i64::MAX));
            items = sql
                .build_query_as::<DecisionRow>()
                .persistent(is_kept())
                .fetch_all(read.connection()?)
                .await?;
        }
        read.commit().await?;
        Ok((items, sizes.len() > fits))
    }
}

/// How many of these decisions make a page, the newest first.
pub(super) fn fitting(sizes: &[SizeRow], page: &Page) -> usize {
    let most = usize::try_from(page.limit.max(1)).unwrap_or(usize::MAX);
    let mut left = PAGE_BYTES;
    let fits = |row: &&SizeRow| match left.checked_sub(row.bytes) {
        Some(less) => {
            left = less;
            true
        }
        None => false,
    };
    // One that is too long for any page is a page of its own.
    sizes.iter().take(most).take_while(fits).count().max(1)
}

/// Adds where the decisions of a filter are looked for, as `d`; returns the column that numbers them there.
pub(super) fn from_log(sql: &mut QueryBuilder<Db>, filter: &DecisionFilter) -> &'static str {
    let rule = filter.rule.as_deref().map(|name| (0_i64, name));
    let named = rule.or_else(|| filter.policy.as_deref().map(|name| (1, name)));
    match MATCHED.zip(named) {
        Some((matched, (kind, name))) => {
            sql.push(matched).push_bind(kind);
            sql.push(" AND m.name = ").push_bind(clean(name));
            "m.seq"
        }
        None => {
            sql.push(" FROM decisions d");
            "d.seq"
        }
    }
}

/// Adds the conditions of a filter on `decisions d`.
pub(super) fn narrow(sql: &mut QueryBuilder<Db>, filter: &DecisionFilter) {
    // All fields by name: a new one does not compile until it narrows.
    let DecisionFilter {
        namespaces,
        decision,
        subject,
        rule,
        policy,
        from_ms,
        to_ms,
        until: _,
    } = filter;
    if let Some(namespaces) = namespaces {
        among(
            sql,
            "d.namespace",
            namespaces.iter().map(|name| clean_key(name)).collect(),
        );
    }
    if let Some(decision) = decision {
        sql.push(" AND d.decision = ").push_bind(clean_key(decision));
    }
    if let Some(subject) = subject {
        sql.push(" AND d.subject = ").push_bind(clean(subject));
    }
    if let Some(rule) = rule {
        sql.push(RULE_FIRED).push_bind(clean(rule)).push(")");
    }
    if let Some(policy) = policy {
        sql.push(POLICY_FIRED).push_bind(clean(policy)).push(")");
    }
    if let Some(from) = from_ms {
        sql.push(" AND d.at_ms >= ").push_bind(*from);
    }
    if let Some(to) = to_ms {
        sql.push(" AND d.at_ms < ").push_bind(*to);
    }
}

pub(super) async fn append_decisions(handle: &Handle, decisions: &[DecisionRecord]) -> Result<()> {
    if decisions.is_empty() {
        return Ok(());
    }
    handle.writing(LONG, async {
        let mut transaction = handle.begin_write().await?;
        for rows in decisions.chunks(ROWS) {
            let mut lists = Vec::with_capacity(rows.len());
            for row in rows {
                lists.push((clean_list(&row.matched_rules)?, clean_list(&row.matched_policies)?));
            }
            let mut sql = QueryBuilder::<Db>::new(
                "INSERT INTO decisions (id, request_id, at_ms, namespace, subject, decision, reason, matched_rules, \
                 matched_policies, errors, revision, duration_ns, cached, context) ",
            );
            sql.push_values(rows.iter().zip(lists), |mut values, (row, (rules, policies))| {
                values
                    .push_bind(row.id().as_bytes().to_vec())
                    .push_bind(clean_key(&row.request_id))
                    .push_bind(row.at_ms)
                    .push_bind(clean_key(&row.namespace))
                    .push_bind(clean(&row.subject))
                    .push_bind(clean_key(&row.decision))
                    .push_bind(row.reason.as_deref().map(clean))
                    .push_bind(rules)
                    .push_bind(policies)
                    .push_bind(i64::from(row.errors))
                    .push_bind(clean(&row.revision))
                    .push_bind(signed(row.duration_ns))
                    .push_bind(row.cached)
                    .push_bind(row.context.as_deref().map(clean));
            });
            sql.push(" ON CONFLICT (request_id, id) DO NOTHING");
            // Only a full chunk comes again often enough to keep its statement.
            sql.build()
                .persistent(is_kept() && rows.len() == ROWS)
                .execute(transaction.connection()?)
                .await?;
        }
        transaction.commit().await
    })
    .await
}

pub(super) async fn decision(
    handle: &Handle,
    request_id: &str,
    filter: &DecisionFilter,
    page: &Page,
) -> Result<Slice<DecisionRecord>> {
    within(LONG, async {
        let after = page.after.as_deref().map(str::parse::<DecisionId>).transpose();
        let after = after.map_err(|error| StoreError::Missing(format!("cursor: {error}")))?;
        let matching = |sql: &mut QueryBuilder<Db>, limit: i64| {
            sql.push(" FROM decisions d WHERE d.request_id = ")
                .push_bind(clean_key(request_id));
            if let Some(after) = after {
                sql.push(" AND d.id < ").push_bind(after.as_bytes().to_vec());
            }
            narrow(sql, filter);
            sql.push(" ORDER BY d.id DESC LIMIT ").push_bind(limit);
        };
        let (items, more) = handle.page_of_log(filter, page, matching).await?;
        let last = items.last().filter(|_| more);
        let next = last.map(|row| decision_id(&row.id)).transpose()?;
        Ok(Slice {
            items: items
                .into_iter()
                .map(DecisionRecord::try_from)
                .collect::<Result<_>>()?,
            next: next.map(|id| id.to_string()),
        })
    })
    .await
}

pub(super) async fn decisions(
    handle: &Handle,
    filter: &DecisionFilter,
    page: &Page,
) -> Result<Slice<DecisionRecord>> {
    within(LONG, async {
        let below = below(page)?;
        let matching = |sql: &mut QueryBuilder<Db>, limit: i64| {
            let seq = from_log(sql, filter);
            sql.push(" WHERE ").push(seq).push(" < ").push_bind(below);
            narrow(sql, filter);
            sql.push(" ORDER BY ")
                .push(seq)
                .push(" DESC LIMIT ")
                .push_bind(limit);
        };
        let (items, more) = handle.page_of_log(filter, page, matching).await?;
        let next = items.last().filter(|_| more).map(|row| row.seq.to_string());
        Ok(Slice {
            items: items
                .into_iter()
                .map(DecisionRecord::try_from)
                .collect::<Result<_>>()?,
            next,
        })
    })
    .await
}

pub(super) async fn decision_stats(handle: &Handle, filter: &DecisionFilter) -> Result<DecisionStats> {
    within(LONG, async {
        let (mut read, _bound) = handle.read_log(filter.until).await?;
        let mut sql = QueryBuilder::<Db>::new(
            "SELECT d.decision, COUNT(*) AS count, SUM(CASE WHEN d.cached THEN 1 ELSE 0 END) AS cached, \
             CAST(SUM(CAST(d.duration_ns AS DOUBLE PRECISION)) AS DOUBLE PRECISION) AS duration_ns",
        );
        from_log(&mut sql, filter);
        sql.push(" WHERE 1 = 1");
        narrow(&mut sql, filter);
        sql.push(" GROUP BY d.decision");
        let outcomes = sql
            .build_query_as::<OutcomeRow>()
            .persistent(is_kept())
            .fetch_all(read.connection()?)
            .await?;
        let mut sql = QueryBuilder::<Db>::new("SELECT r.value AS rule, COUNT(*) AS count");
        from_log(&mut sql, filter);
        sql.push(" ").push(RULES).push(" WHERE 1 = 1");
        narrow(&mut sql, filter);
        sql.push(" GROUP BY r.value ORDER BY COUNT(*) DESC, r.value ")
            .push(BYTES)
            .push(" LIMIT ")
            .push_bind(TOP_RULES);
        let rules = sql
            .build_query_as::<RuleRow>()
            .persistent(is_kept())
            .fetch_all(read.connection()?)
            .await?;
        read.commit().await?;
        Ok(stats(&outcomes, rules))
    })
    .await
}

pub(super) async fn prune_decisions(handle: &Handle, before_ms: i64, limit: u32) -> Result<u64> {
    handle.writing(LONG, async {
        let mut transaction = handle.begin_write().await?;
        let done = query::<Db>(
            "DELETE FROM decisions WHERE seq IN (SELECT seq FROM decisions WHERE at_ms < $1 ORDER BY at_ms LIMIT $2)",
        )
        .bind(before_ms)
        .bind(i64::from(limit))
        .execute(transaction.connection()?)
        .await?;
        transaction.commit().await?;
        Ok(done.rows_affected())
    })
    .await
}

#[expect(clippy::cast_precision_loss, reason = "means and shares, not counts")]
pub(super) fn stats(outcomes: &[OutcomeRow], rules: Vec<RuleRow>) -> DecisionStats {
    let mut by_decision: BTreeMap<String, u64> =
        OUTCOMES.iter().map(|name| ((*name).to_owned(), 0)).collect();
    by_decision.extend(outcomes.iter().map(|row| (row.decision.clone(), row.count)));
    let total: u64 = outcomes.iter().map(|row| row.count).sum();
    let cached: u64 = outcomes.iter().map(|row| row.cached).sum();
    let duration_ns: f64 = outcomes.iter().map(|row| row.duration_ns).sum();
    let mean = |sum: f64| if total == 0 { 0.0 } else { sum / total as f64 };
    DecisionStats {
        total,
        by_decision,
        top_rules: rules
            .into_iter()
            .map(|row| RuleCount {
                rule: row.rule,
                count: row.count,
            })
            .collect(),
        mean_evaluation_time_ms: mean(duration_ns / 1e6),
        cached_ratio: mean(cached as f64),
    }
}
