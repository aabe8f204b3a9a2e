//! The queries to an instance's database: one text for SQLite and PostgreSQL and for every schema generation.
//!
//! Columns are probed, never versions: what a generation does not have is asked for as NULL. Every value is asked
//! for as text, so that a row is the same whichever database gave it.

use std::collections::HashSet;

use crate::error::{Error, Result};

/// Longest value that is taken over from a row, in bytes.
const VALUE_BYTES: usize = 1 << 20;

/// A database that answers queries within one unchanging view of it.
pub(super) trait Tables {
    /// Names of the columns of `table`; none when there is no such table.
    ///
    /// # Errors
    /// Those of the database.
    fn columns(&mut self, table: &str) -> Result<HashSet<String>>;

    /// Gives each row of a query whose values are all text to `each`, in order.
    ///
    /// # Errors
    /// Those of the database and of `each`.
    fn rows(&mut self, sql: &str, each: &mut dyn FnMut(&Record) -> Result<()>) -> Result<()>;
}

/// A row: values by place.
#[derive(Debug, Default)]
pub(super) struct Record(pub(super) Vec<Option<String>>);

impl Record {
    /// The text at `place`, if it is not NULL.
    pub(super) fn text(&self, place: usize) -> Result<Option<&str>> {
        let value = self.0.get(place).ok_or_else(|| Error::internal(format!("a row has no value {place}")))?;
        match value.as_deref() {
            Some(text) if text.len() > VALUE_BYTES => {
                let found = text.len();
                Err(Error::resource_exhausted(format!("a value has {found} bytes, the limit is {VALUE_BYTES}")))
            }
            value => Ok(value),
        }
    }

    /// The text at `place`, which must not be NULL.
    pub(super) fn required(&self, place: usize, name: &str) -> Result<&str> {
        self.text(place)?.ok_or_else(|| Error::data_loss(format!("a row has no {name}")))
    }

    /// The whole number at `place`.
    pub(super) fn integer(&self, place: usize, name: &str) -> Result<Option<i64>> {
        let wrong = |text: &str| Error::data_loss(format!("expected a whole number as {name}, found {text:?}"));
        self.text(place)?.map(|text| text.parse().map_err(|_| wrong(text))).transpose()
    }

    /// The truth at `place`; NULL is false.
    pub(super) fn flag(&self, place: usize) -> Result<bool> {
        Ok(self.text(place)? == Some("1"))
    }
}

/// How a column is asked for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Column {
    /// As text.
    Text(&'static str),
    /// The first of several names that there is: names changed between generations.
    OneOf(&'static [&'static str]),
    /// As `1` or `0`.
    Flag(&'static str),
}

impl Column {
    fn sql(self, known: &HashSet<String>) -> String {
        let text = |name: &str| format!("CAST(\"{name}\" AS text)");
        match self {
            Self::Text(name) if known.contains(name) => text(name),
            Self::OneOf(names) => names
                .iter()
                .find(|name| known.contains(**name))
                .map_or_else(|| "CAST(NULL AS text)".to_owned(), |name| text(name)),
            Self::Flag(name) if known.contains(name) => format!("CASE WHEN \"{name}\" THEN '1' ELSE '0' END"),
            Self::Text(_) | Self::Flag(_) => "CAST(NULL AS text)".to_owned(),
        }
    }
}

/// A table and the columns of it that are read, in order of its `id`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Table {
    pub(super) name: &'static str,
    pub(super) columns: &'static [Column],
    /// Columns without which it is not a table of LaminDB; without any, the table may be missing.
    pub(super) needed: &'static [&'static str],
}

impl Table {
    /// Gives each row to `each`; none when a table that may be missing is.
    ///
    /// # Errors
    /// `FailedPrecondition` when a needed column is missing, and as [`Tables::rows`].
    pub(super) fn read(self, tables: &mut dyn Tables, each: &mut dyn FnMut(&Record) -> Result<()>) -> Result<()> {
        let known = tables.columns(self.name)?;
        if let Some(missing) = self.needed.iter().find(|name| !known.contains(**name)) {
            let name = self.name;
            return Err(Error::failed_precondition(format!("not a LaminDB instance: {name} has no column {missing}")));
        }
        if known.is_empty() {
            return Ok(());
        }
        let columns: Vec<String> = self.columns.iter().map(|column| column.sql(&known)).collect();
        tables.rows(&format!("SELECT {} FROM {} ORDER BY id", columns.join(", "), self.name), each)
    }
}

use Column::{Flag, OneOf, Text};

/// 1 is the main branch; -1 the trash, 0 the archive.
const BRANCH: Column = OneOf(&["branch_id", "_branch_code"]);

pub(super) const STORAGES: Table =
    Table { name: "lamindb_storage", columns: &[Text("id"), Text("root"), Text("region")], needed: &["id", "root"] };

pub(super) const USERS: Table =
    Table { name: "lamindb_user", columns: &[Text("id"), Text("handle"), Text("name")], needed: &["id", "handle"] };

pub(super) const FEATURES: Table =
    Table { name: "lamindb_feature", columns: &[Text("id"), Text("name")], needed: &["id", "name"] };

/// Places: 0 id, 1 uid, 2 key, 3 `_real_key`, 4 `_key_is_virtual`, 5 `_overwrite_versions`, 6 suffix, 7 storage,
/// 8 branch, 9 is_latest, 10 version tag, 11 kind, 12 otype, 13 size, 14 n_files, 15 n_observations, 16 hash,
/// 17 `_hash_type`, 18 `_aux`, 19 description, 20 created_at, 21 created_by.
pub(super) const ARTIFACTS: Table = Table {
    name: "lamindb_artifact",
    columns: &[
        Text("id"),
        Text("uid"),
        Text("key"),
        Text("_real_key"),
        Flag("_key_is_virtual"),
        Flag("_overwrite_versions"),
        Text("suffix"),
        Text("storage_id"),
        BRANCH,
        Flag("is_latest"),
        OneOf(&["version_tag", "version"]),
        Text("kind"),
        Text("otype"),
        Text("size"),
        Text("n_files"),
        Text("n_observations"),
        Text("hash"),
        Text("_hash_type"),
        Text("_aux"),
        Text("description"),
        Text("created_at"),
        Text("created_by_id"),
    ],
    needed: &["id", "uid", "key", "suffix", "storage_id", "is_latest", "_key_is_virtual", "_overwrite_versions"],
};

/// Places: 0 id, 1 uid, 2 key, 3 branch, 4 is_latest, 5 version tag, 6 description, 7 created_at, 8 created_by.
pub(super) const COLLECTIONS: Table = Table {
    name: "lamindb_collection",
    columns: &[
        Text("id"),
        Text("uid"),
        Text("key"),
        BRANCH,
        Flag("is_latest"),
        OneOf(&["version_tag", "version"]),
        Text("description"),
        Text("created_at"),
        Text("created_by_id"),
    ],
    needed: &["id", "uid", "key", "is_latest"],
};

pub(super) const MEMBERS: Table = Table {
    name: "lamindb_collectionartifact",
    columns: &[Text("id"), Text("collection_id"), Text("artifact_id")],
    needed: &["id", "collection_id", "artifact_id"],
};

/// A registry of labels, and its links to artifacts.
#[derive(Clone, Copy, Debug)]
pub(super) struct Labels {
    /// Its name in LaminDB.
    pub(super) name: &'static str,
    /// Places: 0 id, 1 uid, 2 name, 3 description, 4 branch.
    pub(super) labels: Table,
    /// Places: 0 artifact, 1 label, 2 feature.
    pub(super) links: Table,
}

/// Both registries of labels; older generations have no records.
pub(super) const LABELS: [Labels; 2] = [
    Labels {
        name: "ULabel",
        labels: Table {
            name: "lamindb_ulabel",
            columns: &[Text("id"), Text("uid"), Text("name"), Text("description"), BRANCH],
            needed: &["id", "uid", "name"],
        },
        links: Table {
            name: "lamindb_artifactulabel",
            columns: &[Text("artifact_id"), Text("ulabel_id"), Text("feature_id")],
            needed: &["artifact_id", "ulabel_id"],
        },
    },
    Labels {
        name: "Record",
        labels: Table {
            name: "lamindb_record",
            columns: &[Text("id"), Text("uid"), Text("name"), Text("description"), BRANCH],
            needed: &[],
        },
        links: Table {
            name: "lamindb_artifactrecord",
            columns: &[Text("artifact_id"), Text("record_id"), Text("feature_id")],
            needed: &[],
        },
    },
];

/// All tables that are read.
pub(super) fn all() -> impl Iterator<Item = Table> {
    let labels = LABELS.into_iter().flat_map(|registry| [registry.labels, registry.links]);
    [STORAGES, USERS, FEATURES, ARTIFACTS, COLLECTIONS, MEMBERS].into_iter().chain(labels)
}
