//! The server: accepts connections and runs each until it is shut down.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use s3s::auth::SimpleAuth;
use s3s::service::{S3Service, S3ServiceBuilder};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

use crate::access::Access;
use crate::admin;
use crate::cloud::Cloud;
use crate::config::{Config, Profile};
use crate::fault::Fault;
use crate::fault_set::FaultSet;
use crate::front::Front;
use crate::journal::{Journal, LogEntry, Stats};
use crate::network::Network;
use crate::storage::Storage;

/// How long requests in flight may take to end at shutdown.
const PATIENCE: Duration = Duration::from_secs(1);

/// A running server. Dropping it stops it at once, without grace.
pub struct Server {
    address: SocketAddr,
    front: Arc<Front>,
    stop: watch::Sender<bool>,
    accepting: JoinHandle<()>,
}

impl Server {
    /// Starts a server in the running tokio runtime.
    ///
    /// # Errors
    /// Where the root is no folder, the profile makes no sense or the address
    /// cannot be listened on.
    pub async fn start(config: Config) -> io::Result<Self> {
        config.profile.check().map_err(|reason| io::Error::new(io::ErrorKind::InvalidInput, reason))?;
        let storage = open(&config).await?;
        let listener = TcpListener::bind(config.listen).await?;
        let address = listener.local_addr()?;
        let front = Arc::new(Front {
            service: service(&config, storage),
            network: Arc::new(Network::new(config.profile, config.seed)),
            journal: Arc::new(Journal::default()),
            faults: FaultSet::default(),
        });
        let (stop, stopped) = watch::channel(false);
        let accepting = tokio::spawn(accept(listener, Arc::clone(&front), stopped));
        Ok(Self { address, front, stop, accepting })
    }

    /// The address it listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The endpoint for S3 clients, without a slash at the end.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The counters since the last reset.
    pub fn stats(&self) -> Stats {
        admin::stats(&self.front)
    }

    /// The requests since the last reset, in order of arrival.
    pub fn log(&self) -> Vec<LogEntry> {
        self.front.journal.log()
    }

    /// Zeroes counters and log; faults and profile stay.
    pub fn reset(&self) {
        self.front.journal.reset();
    }

    /// Adds a fault to those active.
    pub fn set_fault(&self, fault: Fault) {
        self.front.faults.add(fault);
    }

    /// Ends all faults.
    pub fn clear_faults(&self) {
        self.front.faults.clear();
    }

    /// Replaces the network profile.
    ///
    /// # Errors
    /// A sentence saying which value makes no sense.
    pub fn set_profile(&self, profile: Profile) -> Result<(), String> {
        profile.check()?;
        self.front.network.set_profile(profile);
        Ok(())
    }

    /// Stops accepting, lets requests in flight end for a second, then stops.
    pub async fn shutdown(mut self) {
        self.stop.send_replace(true);
        if let Err(error) = (&mut self.accepting).await {
            tracing::error!(?error, "the server's task failed");
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// Opens the storage, with its ETags known if that is asked for.
async fn open(config: &Config) -> io::Result<Storage> {
    let (root, warm) = (config.root.clone(), config.warm_etags);
    let opened = tokio::task::spawn_blocking(move || {
        let storage = Storage::open(&root)?;
        if warm {
            storage.warm().map_err(io::Error::other)?;
        }
        Ok(storage)
    });
    opened.await.map_err(io::Error::other)?
}

/// S3 over the storage, with signatures checked.
fn service(config: &Config, storage: Storage) -> S3Service {
    let mut builder = S3ServiceBuilder::new(Cloud::new(storage));
    builder.set_auth(SimpleAuth::from_single(config.access_key.clone(), config.secret_key.clone()));
    builder.set_access(Access { anonymous_buckets: config.anonymous_buckets.clone() });
    builder.build()
}

/// Accepts connections until told to stop, then sees them to their end.
async fn accept(listener: TcpListener, front: Arc<Front>, mut stopped: watch::Receiver<bool>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            () = told(&mut stopped) => break,
            Some(_) = connections.join_next() => {}
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(serve(stream, Arc::clone(&front), stopped.clone()));
                }
                Err(error) => {
                    tracing::warn!(?error, "a connection could not be accepted");
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
            },
        }
    }
    drop(listener);
    let ended = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(PATIENCE, ended).await.is_err() {
        connections.shutdown().await;
    }
}

/// Waits until the server is told to stop, or is gone.
async fn told(stopped: &mut watch::Receiver<bool>) {
    // An error says that the sender is gone, and with it the server.
    let _ = stopped.wait_for(|stop| *stop).await;
}

/// Serves one connection until it closes or the server stops.
async fn serve(stream: TcpStream, front: Arc<Front>, mut stopped: watch::Receiver<bool>) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::warn!(?error, "TCP_NODELAY could not be set");
    }
    let answer = service_fn(move |request| Arc::clone(&front).answer(request));
    let connection = http1::Builder::new().header_read_timeout(None).serve_connection(TokioIo::new(stream), answer);
    tokio::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = told(&mut stopped) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(?error, "a connection ended early");
    }
}
