//! `serve`: the server, until SIGTERM or SIGINT.

use clap::error::ErrorKind;
use clap::{Args, CommandFactory};
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;

use super::{Cli, Common, print};
use crate::config::INSTANCE_FLAG;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::{server, telemetry};

/// Options of `serve`.
#[derive(Debug, Args)]
pub(super) struct Serve {
    /// Where to listen; port 0 takes any free port.
    #[arg(long, value_name = "HOST:PORT")]
    listen: Option<String>,
    /// Let clients register, label, collect and remove.
    #[arg(long)]
    allow_register: bool,
    /// A root that may be read besides those the registry knows; may be repeated.
    #[arg(long, value_name = "URL")]
    storage: Vec<String>,
    /// A LaminDB instance to serve as it is: a storage root, a SQLite file (also .gz) or postgresql://…; its keys
    /// then begin with NAME/. May be repeated; each but one needs a name.
    #[arg(long, value_name = "[NAME=]URL")]
    lamindb: Vec<String>,
}

impl Serve {
    pub(super) async fn run(self, common: &Common) -> Result<()> {
        if common.server.is_some() {
            Cli::command().error(ErrorKind::ArgumentConflict, "serve takes no --server").exit();
        }
        let mut flags: Vec<_> = self.listen.map(|listen| ("listen", listen)).into_iter().collect();
        if self.allow_register {
            flags.push(("allow_register", "true".into()));
        }
        flags.extend(self.lamindb.into_iter().map(|instance| (INSTANCE_FLAG, instance)));
        let config = common.configuration(flags)?;
        telemetry::start(&config.log)?;
        let engine = Engine::open(config.engine_options()).await?;
        for root in &self.storage {
            engine.add_storage(root).await?;
        }
        let cannot = |error| Error::unavailable(format!("cannot listen on {}", config.listen)).with_source(error);
        let listener = TcpListener::bind(&config.listen).await.map_err(cannot)?;
        let address = listener.local_addr().map_err(cannot)?;
        let signals = Signals::new()?;
        print::line(&format!("listening on grpc://{address}"))?;
        let (asked, stopped) = oneshot::channel();
        tokio::select! {
            result = server::run(listener, engine, &config, async { drop(stopped.await) }) => result,
            () = signals.twice(asked) => {
                Err(Error::unavailable("stopped by a second signal, before running streams had ended"))
            }
        }
    }
}

/// The signals that stop the server.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn new() -> Result<Self> {
        let listen = |kind| signal(kind).map_err(|error| Error::internal("no signal handler").with_source(error));
        Ok(Self { terminate: listen(SignalKind::terminate())?, interrupt: listen(SignalKind::interrupt())? })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }

    /// Reports the first signal, and ends with the second.
    async fn twice(mut self, first: oneshot::Sender<()>) {
        self.next().await;
        // When nobody listens, the server has ended by itself.
        let _ = first.send(());
        self.next().await;
    }
}
