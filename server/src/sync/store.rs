//! Follows the store. Notifications are a hint; the revision, asked for every `POLL_INTERVAL`, is the truth.

use crate::config::Origin;
use crate::error::Code;
use crate::state::App;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Why decisions are not in the log yet that should be: the queue holds requests up, or soon will, or some wait on disk.
fn behind(app: &App) -> Option<String> {
    let log = &app.service.log;
    let (waiting, room) = (log.pending(), log.capacity());
    let crowded = waiting.saturating_mul(5) > room.saturating_mul(4);
    let on_disk = log.on_disk();
    match (crowded, on_disk) {
        (false, 0) => None,
        (true, 0) => Some(format!("{waiting} of {room} places are taken")),
        (false, bytes) => Some(format!("{bytes} bytes wait on disk")),
        (true, bytes) => Some(format!(
            "{bytes} bytes wait on disk, {waiting} of {room} places are taken"
        )),
    }
}

/// Runs until cancelled. Where the policies come from elsewhere it only watches whether the store can be reached.
pub async fn run(app: App, poll: Duration, stop: CancellationToken) {
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
            Ok(()) | Err(_) => None,
        };
        app.health.note("store", down);
        if let Some(up) = app.service.cache.shared_is_up() {
            app.health
                .note("redis", (!up).then(|| "does not answer".to_owned()));
        }
        app.health.note("decision log", behind(&app));
        let info = app.service.active.info();
        if failed != info.failure && info.failure.is_some() {
            app.metrics.reload_failed(&app.service.origin);
        }
        failed.clone_from(&info.failure);
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(poll) => {}
            () = store.changed(), if result.is_ok() => {}
        }
    }
}
