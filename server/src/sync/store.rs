//! Follows the store. Notifications are a hint; the revision, asked for every `POLL_INTERVAL`, is the truth.
//!
//! Reading does not say that writing works: on a full disk, and on a standby, the one goes on without the other. So a write
//! that changes nothing is made where no other was made lately, and each time where the last one failed.

use crate::active::Origin;
use crate::error::Code;
use crate::state::App;
use crate::storage::StoreError;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// How old the last write may be that readiness relies on.
const FRESH: Duration = Duration::from_secs(5);

/// Why decisions are not in the log yet that should be: a sink fails, the queue holds requests up, or soon will, or some wait
/// on disk.
fn behind(app: &App) -> Option<String> {
    let log = &app.service.log;
    let mut reasons = log.failing();
    match log.on_disk() {
        0 => {}
        bytes => reasons.push(format!("{bytes} bytes wait on disk")),
    }
    let (waiting, room) = (log.pending(), log.capacity());
    // Four fifths of the half that one caller has: from there on the requests of somebody may have to wait.
    if waiting.saturating_mul(5) > room.saturating_mul(2) {
        reasons.push(format!(
            "{waiting} of {room} places are taken, and one caller has at most half of them"
        ));
    }
    (!reasons.is_empty()).then(|| reasons.join(", "))
}

/// Runs until cancelled. Where the policies come from elsewhere it only watches whether the store can be reached.
pub async fn run(app: App, poll: Duration, stop: CancellationToken) {
    let writes = Mutex::default();
    tokio::join!(
        follow(&app, poll, &stop, &writes),
        check_writes(&app, poll, &stop, &writes)
    );
}

/// Why the store takes no writes; `None` where it does.
type Writes = Mutex<Option<String>>;

/// Asks whether the store takes writes. Apart from [`follow`], because the answer may take as long as a lock of somebody else.
async fn check_writes(app: &App, poll: Duration, stop: &CancellationToken, writes: &Writes) {
    loop {
        let down = match app.service.store.check_writes(FRESH).await {
            Ok(()) => None,
            Err(StoreError::Unavailable(reason)) => Some(format!("takes no writes: {reason}")),
            Err(error) => Some(format!("takes no writes: {error}")),
        };
        *writes.lock().unwrap_or_else(PoisonError::into_inner) = down;
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(poll) => {}
        }
    }
}

async fn follow(app: &App, poll: Duration, stop: &CancellationToken, writes: &Writes) {
    let store = &app.service.store;
    let follows = app.service.origin == Origin::Store;
    let mut failed = None;
    loop {
        let result = if follows {
            app.service.active.follow(&**store).await
        } else {
            store.ping().await.map_err(Into::into)
        };
        let down = match &result {
            Err(error) if error.code == Code::StoreUnavailable => Some("cannot be reached".to_owned()),
            Ok(()) | Err(_) => writes.lock().unwrap_or_else(PoisonError::into_inner).clone(),
        };
        app.health.note("store", down);
        if let Some(up) = app.service.cache.shared_is_up() {
            app.health
                .note("redis", (!up).then(|| "does not answer".to_owned()));
        }
        app.health.note("decision log", behind(app));
        let info = app.service.active.info();
        if failed != info.failure && info.failure.is_some() {
            app.metrics.reload_failed(app.service.origin.label());
        }
        failed.clone_from(&info.failure);
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(poll) => {}
            () = store.changed(), if result.is_ok() => {}
        }
    }
}
