//! Decisions out of the log, as JSON lines: for archives, for other systems, and before retention takes them.

use super::Reader;
use super::record::{SEALED, associated_data, push_line};
use crate::storage::StoreError;
use crate::storage::model::{DecisionFilter, Page};
use std::io::{self, Write};

/// Decisions read at once.
const PAGE: u32 = 500;

/// Why an export stopped. What was written before is whole lines.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The database failed.
    #[error("{0}")]
    Store(StoreError),
    /// The output failed.
    #[error("cannot write: {0}")]
    Output(io::Error),
    /// A context could not be opened: request id, and why.
    #[error("the context of {0} cannot be decrypted: {1}")]
    Open(String, String),
}

/// Opens what [`super::Seal`] sealed: stored text and associated data to plaintext.
pub type Open<'o> = &'o (dyn Fn(&str, &str) -> Result<String, String> + Sync);

/// Writes decisions as JSON lines, newest first, page by page; returns how many. With `open`, sealed contexts are written
/// in clear text, without it as they are stored. Decisions that are made meanwhile are not among them.
///
/// # Errors
///
/// - [`ExportError::Store`], [`ExportError::Output`] — as they say.
/// - [`ExportError::Open`] — `open` failed on a context.
pub async fn export(
    log: &Reader,
    filter: &DecisionFilter,
    open: Option<Open<'_>>,
    out: &mut (dyn Write + Send),
) -> Result<u64, ExportError> {
    let mut page = Page {
        limit: PAGE,
        after: None,
    };
    let mut count = 0;
    let mut lines = String::new();
    loop {
        let slice = log.decisions(filter, &page).await.map_err(ExportError::Store)?;
        lines.clear();
        for mut record in slice.items {
            if let (Some(open), Some(context)) = (open, &record.context)
                && context.starts_with(SEALED)
            {
                let opened = open(context, &associated_data(&record))
                    .map_err(|error| ExportError::Open(record.request_id.clone(), error))?;
                record.context = Some(opened);
            }
            push_line(&record, &mut lines);
            count += 1;
        }
        out.write_all(lines.as_bytes()).map_err(ExportError::Output)?;
        match slice.next {
            Some(next) => page.after = Some(next),
            None => break,
        }
    }
    out.flush().map_err(ExportError::Output)?;
    Ok(count)
}
