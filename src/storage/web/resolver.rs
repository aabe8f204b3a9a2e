//! Resolves host names, and leaves out the addresses that a root may not reach: what is checked is what is connected to.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use super::addresses::Addresses;

/// All addresses of a host may not be reached.
#[derive(Debug)]
pub(crate) struct RefusedAddress;

impl fmt::Display for RefusedAddress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("the host lies at an address that the storage root may not reach")
    }
}

impl std::error::Error for RefusedAddress {}

/// The resolver of the system, guarded.
#[derive(Debug)]
pub(crate) struct GuardedResolver(pub(crate) Arc<Addresses>);

impl Resolve for GuardedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let (addresses, host) = (Arc::clone(&self.0), name.as_str().to_owned());
        Box::pin(async move {
            let found: Vec<SocketAddr> = tokio::net::lookup_host((host.as_str(), 0)).await?.collect();
            let (all, allowed) = (found.len(), found.into_iter().filter(|one| addresses.allows(&host, one.ip())));
            let allowed: Vec<SocketAddr> = allowed.collect();
            if allowed.is_empty() && all > 0 {
                return Err(RefusedAddress.into());
            }
            Ok(Box::new(allowed.into_iter()) as Addrs)
        })
    }
}
