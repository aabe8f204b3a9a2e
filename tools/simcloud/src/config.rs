//! What a server is started with: folder, address, keys and network profile.
//!
//! It only holds and checks values; nothing here opens a file or a socket.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Everything a [`crate::Server`] needs to start.
#[derive(Clone, Debug)]
pub struct Config {
    /// The folder whose first-level folders are the buckets.
    pub root: PathBuf,
    /// The address to listen on; port 0 takes any free one.
    pub listen: SocketAddr,
    /// The one access key that is known.
    pub access_key: String,
    /// The secret of the access key.
    pub secret_key: String,
    /// Buckets that may be read without a signature.
    pub anonymous_buckets: Vec<String>,
    /// Whether all ETags are computed before the server answers, so that the first
    /// request for a large object does not wait for its MD5.
    pub warm_etags: bool,
    /// The simulated network.
    pub profile: Profile,
    /// The seed of the latency generator.
    pub seed: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            root: PathBuf::from("."),
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            access_key: "test".to_owned(),
            secret_key: "testsecret".to_owned(),
            anonymous_buckets: Vec::new(),
            warm_etags: false,
            profile: Profile::default(),
            seed: 1,
        }
    }
}

/// A simulated network; the default adds nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Profile {
    /// Mean time to the first byte of each S3 answer, in milliseconds.
    pub latency_ms: f64,
    /// Standard deviation of that time; where it or the mean is not zero, 1 % of
    /// the requests take four times as long.
    pub jitter_ms: f64,
    /// Bandwidth of each answer's body, in 10^6 bytes per second.
    pub connection_mbps: Option<f64>,
    /// Bandwidth shared by all bodies, in 10^6 bytes per second.
    pub total_mbps: Option<f64>,
}

impl Profile {
    /// Says what is wrong with the values, if anything is.
    ///
    /// # Errors
    /// A sentence naming the field that is negative, zero or not finite.
    pub fn check(&self) -> Result<(), String> {
        for (name, value) in [("latency_ms", self.latency_ms), ("jitter_ms", self.jitter_ms)] {
            if !value.is_finite() || value < 0.0 {
                return Err(format!("{name} must be zero or more, not {value}"));
            }
        }
        let rates = [("connection_mbps", self.connection_mbps), ("total_mbps", self.total_mbps)];
        for (name, value) in rates {
            if value.is_some_and(|rate| !rate.is_finite() || rate <= 0.0) {
                return Err(format!("{name} must be more than zero"));
            }
        }
        Ok(())
    }
}
