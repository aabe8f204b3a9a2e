//! Runs the server: from a bound socket until it is told to stop and the last stream has ended.
//!
//! The caller gives the socket, the engine, the configuration and what ends it; nothing here reads
//! the environment or prints.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::config::Config;
use crate::engine::Engine;
use crate::error::Result;
use crate::flight::{Service, Settings, Transport, serve};

/// How long connections may take to close after their streams were ended by force.
const CLOSE_TIME: Duration = Duration::from_secs(2);

/// Serves `engine` on `listener`. When `shutdown` ends, no further connections and calls are taken;
/// running streams may go on for the configured drain time and are then ended with `UNAVAILABLE`.
///
/// # Errors
/// `Unavailable` when the transport fails.
pub async fn run(
    listener: TcpListener,
    engine: Arc<Engine>,
    config: &Config,
    shutdown: impl Future<Output = ()>,
) -> Result<()> {
    let stop = CancellationToken::new();
    let service = Service::new(engine, Settings::from(config), stop.clone());
    drain(config.transport.drain_time, stop, shutdown, |stopping| {
        serve(listener, service, Transport::from(config), stopping)
    })
    .await
}

/// Runs `start`'s server until `shutdown`, then for `drain_time`, then cancels `stop`.
pub(crate) async fn drain<Serving: Future<Output = Result<()>>>(
    drain_time: Duration,
    stop: CancellationToken,
    shutdown: impl Future<Output = ()>,
    start: impl FnOnce(tokio_util::sync::WaitForCancellationFutureOwned) -> Serving,
) -> Result<()> {
    let stopping = CancellationToken::new();
    let serving = start(stopping.clone().cancelled_owned());
    tokio::pin!(serving);
    tokio::select! {
        result = &mut serving => return result,
        () = shutdown => stopping.cancel(),
    }
    tracing::info!(drain_seconds = drain_time.as_secs(), "stopping; running streams may end");
    if let Ok(result) = tokio::time::timeout(drain_time, &mut serving).await {
        return result;
    }
    tracing::warn!("the drain time is over; ending running streams");
    stop.cancel();
    match tokio::time::timeout(CLOSE_TIME, serving).await {
        Ok(result) => result,
        Err(_) => {
            // Their tasks end with the runtime.
            tracing::warn!("some connections did not close");
            Ok(())
        }
    }
}
