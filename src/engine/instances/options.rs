//! One LaminDB instance as it is configured.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

/// One LaminDB instance as it is configured.
#[derive(Clone, PartialEq, Eq)]
pub struct LaminDb {
    /// A storage root, a SQLite file (plain or `.gz`), or `postgresql://…`; may hold a password.
    pub url: String,
    /// Begins its keys (`name/key`); none leaves them as they are.
    pub name: Option<String>,
    /// Storage roots as its records say, and where they really are.
    pub remap: BTreeMap<String, String>,
    /// Options of the object stores of its database and its storages (secrets allowed).
    pub options: BTreeMap<String, String>,
    /// How often changes are looked for.
    pub refresh: Duration,
    /// Most bytes of its database.
    pub database_bytes: u64,
    /// Whether the recorded hash of an object is compared with its ETag, where it is made of it.
    pub check_hashes: bool,
}

impl LaminDb {
    /// The instance at `url`, without a name, with the defaults.
    pub fn new(url: &str) -> Self {
        Self {
            url: url.to_owned(),
            name: None,
            remap: BTreeMap::new(),
            options: BTreeMap::new(),
            refresh: Duration::from_secs(30),
            database_bytes: 4 << 30,
            check_hashes: true,
        }
    }
}

impl fmt::Debug for LaminDb {
    /// Shows neither the URL, which may hold a password, nor the values of options.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("LaminDb")
            .field("name", &self.name)
            .field("remap", &self.remap)
            .field("options", &self.options.keys().collect::<Vec<_>>())
            .field("refresh", &self.refresh)
            .finish_non_exhaustive()
    }
}
