//! What an instance is opened with.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use super::mirror::Naming;
use crate::error::{Error, Result};

/// What an instance is opened with.
#[derive(Clone)]
pub struct InstanceOptions {
    /// A storage root, a SQLite file (plain or `.gz`), or `postgresql://…`; may hold a password.
    pub(super) url: String,
    pub(super) naming: Naming,
    /// How often changes are looked for.
    pub(super) refresh: Duration,
    /// Folder for private copies and mirrors.
    pub(super) scratch: PathBuf,
    /// Most bytes of the database, of its copy and of its mirror.
    pub(super) database_bytes: u64,
}

impl InstanceOptions {
    /// An instance at `url`; copies of its database, of at most `database_bytes` each, lie in the folder `scratch`.
    pub fn new(url: &str, refresh: Duration, scratch: PathBuf, database_bytes: u64) -> Self {
        Self { url: url.to_owned(), naming: Naming::default(), refresh, scratch, database_bytes }
    }

    /// With a name, which then begins its keys.
    #[must_use]
    pub fn with_name(mut self, name: Option<String>) -> Self {
        self.naming.name = name;
        self
    }

    /// With storage roots that are elsewhere than its records say.
    #[must_use]
    pub fn with_remap(mut self, remap: BTreeMap<String, String>) -> Self {
        self.naming.remap = remap;
        self
    }

    /// With or without the recorded hashes of contents.
    #[must_use]
    pub fn with_hashes(mut self, hashes: bool) -> Self {
        self.naming.without_hashes = !hashes;
        self
    }

    /// The URL without user, password and query.
    pub(super) fn shown(&self) -> String {
        let plain = self.plain_url();
        match plain.split_once("://") {
            Some((scheme, rest)) => {
                let (authority, path) = rest.split_once('/').map_or((rest, None), |(left, right)| (left, Some(right)));
                let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
                path.map_or(format!("{scheme}://{host}"), |path| format!("{scheme}://{host}/{path}"))
            }
            None => plain.to_owned(),
        }
    }

    /// The URL without its query and a slash at its end.
    pub(super) fn plain_url(&self) -> &str {
        let plain = self.url.split_once("://").and_then(|_| self.url.split_once('?')).map(|(plain, _)| plain);
        let plain = plain.unwrap_or(&self.url);
        if plain == "/" { plain } else { plain.trim_end_matches('/') }
    }

    /// Refuses what no key could begin with.
    pub(super) fn check(&self) -> Result<()> {
        let Some(name) = &self.naming.name else { return Ok(()) };
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        if name.is_empty() || !name.bytes().all(allowed) {
            return Err(Error::invalid(format!(
                "the name of a LaminDB instance is of letters, digits, '-', '_' and '.', found {name:?}"
            )));
        }
        Ok(())
    }
}

impl fmt::Debug for InstanceOptions {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("InstanceOptions")
            .field("url", &self.shown())
            .field("naming", &self.naming)
            .finish_non_exhaustive()
    }
}
