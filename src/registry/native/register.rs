//! Registering: a new artifact, a new version of a known one, or nothing when nothing changed.

use rusqlite::{OptionalExtension, Transaction, params};

use super::artifact::{self, COLUMNS, Found, kind_name};
use super::failure::{self, signed};
use super::{NativeRegistry, label, search, uid};
use crate::error::{Error, Result};
use crate::model::artifact::{Artifact, ArtifactKind, PinnedFile};
use crate::model::criteria::FeatureLabel;

/// Longest key, in bytes.
const KEY_BYTES: usize = 1024;
/// Longest description, in bytes.
const DESCRIPTION_BYTES: usize = 65_536;

/// What is registered.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NewArtifact {
    /// The name under which people find it.
    pub key: String,
    /// URL of the file or folder, without secrets.
    pub url: String,
    /// Suffix of the key, with the dot.
    pub suffix: String,
    /// What the artifact is.
    pub kind: ArtifactKind,
    /// Size in bytes, all files together.
    pub size: u64,
    /// Number of files of a folder.
    pub n_files: Option<u64>,
    /// Number of rows or observations, where known.
    pub n_observations: Option<u64>,
    /// ETag of a single file, or a digest of the ETags of a folder's files.
    pub etag: String,
    /// Free text; none keeps that of an unchanged artifact.
    pub description: Option<String>,
    /// The files of a folder of shards.
    pub files: Vec<PinnedFile>,
    /// Labels to add.
    pub labels: Vec<FeatureLabel>,
    /// Who registers it; empty where that is not known.
    pub created_by: String,
}

/// What came of a registration.
#[derive(Clone, Debug, PartialEq)]
pub struct Registered {
    /// The artifact as it is now.
    pub artifact: Artifact,
    /// Whether this made a new artifact or version.
    pub created: bool,
}

impl NativeRegistry {
    /// Registers an artifact, in one transaction.
    ///
    /// The same key with the same URL, size and ETag as its latest version changes nothing; labels, a
    /// description and a number of observations that was unknown are added. Other content makes a new
    /// version of the key, which is then the latest. Labels belong to a version.
    ///
    /// # Errors
    /// `InvalidArgument` for a malformed key, URL or label, `FailedPrecondition` when a collection has
    /// the key, `Unavailable` when the database cannot be written.
    pub async fn register(&self, new: NewArtifact) -> Result<Registered> {
        check(&new)?;
        self.write(move |transaction| {
            let (id, created) = match latest(transaction, &new.key)? {
                Some(known) if same(&known.artifact, &new) => {
                    add_to(transaction, known.id, &new)?;
                    (known.id, false)
                }
                _ => (insert(transaction, &new)?, true),
            };
            label::add(transaction, id, &new.labels)?;
            search::update(transaction, id)?;
            Ok(Registered { artifact: artifact::complete(transaction, by_id(transaction, id)?)?, created })
        })
        .await
    }

    /// Notes the number of rows or observations of one version.
    ///
    /// # Errors
    /// `NotFound` for an unknown uid (which must be full), `Unavailable` when the database cannot be
    /// written.
    pub async fn set_n_observations(&self, uid: &str, n_observations: u64) -> Result<()> {
        let uid = uid.to_owned();
        let count = signed(n_observations, "number of observations")?;
        self.write(move |transaction| {
            let sql = "UPDATE artifacts SET n_observations = ?2 WHERE uid = ?1";
            match transaction.execute(sql, params![uid, count]).map_err(failure::of)? {
                0 => Err(Error::not_found(format!("no artifact has the uid {uid:?}"))),
                _ => Ok(()),
            }
        })
        .await
    }
}

/// The artifact of a row.
pub(crate) fn by_id(transaction: &Transaction<'_>, id: i64) -> Result<Found> {
    let found = artifact::query(transaction, &format!("SELECT {COLUMNS} FROM artifacts a WHERE a.id = ?1"), [id])?;
    found.into_iter().next().ok_or_else(|| Error::internal(format!("artifact row {id} is gone")))
}

/// Refuses names that are empty, too long or hold control characters.
pub(crate) fn check_name(what: &str, name: &str, most: usize) -> Result<()> {
    if name.trim().is_empty() {
        return Err(Error::invalid(format!("the {what} is empty")));
    }
    if name.len() > most {
        return Err(Error::invalid(format!("the {what} has {} bytes, the limit is {most}", name.len())));
    }
    if name.chars().any(char::is_control) {
        return Err(Error::invalid(format!("the {what} {name:?} holds a control character")));
    }
    Ok(())
}

/// Refuses keys that no one could ask for.
pub(crate) fn check_key(key: &str) -> Result<()> {
    check_name("key", key, KEY_BYTES)
}

/// Refuses descriptions that are too long.
pub(crate) fn check_description(description: Option<&str>) -> Result<()> {
    match description.map(str::len) {
        Some(length) if length > DESCRIPTION_BYTES => {
            Err(Error::invalid(format!("the description has {length} bytes, the limit is {DESCRIPTION_BYTES}")))
        }
        _ => Ok(()),
    }
}

/// Refuses URLs that hold a user name, a password or a query: those are secrets.
pub(crate) fn check_url(url: &str) -> Result<()> {
    let authority = url.split_once("://").map(|(_, rest)| rest.split('/').next().unwrap_or_default());
    match authority {
        None => Err(Error::invalid("expected a URL such as s3://bucket/key")),
        Some(authority) if authority.contains('@') || url.contains('?') => {
            Err(Error::invalid("a URL in the registry holds no user name, password or query"))
        }
        Some(_) => Ok(()),
    }
}

fn check(new: &NewArtifact) -> Result<()> {
    check_key(&new.key)?;
    check_url(&new.url)?;
    check_description(new.description.as_deref())?;
    new.labels.iter().try_for_each(label::check)
}

fn latest(transaction: &Transaction<'_>, key: &str) -> Result<Option<Found>> {
    let sql = format!("SELECT {COLUMNS} FROM artifacts a WHERE a.key = ?1 AND a.is_latest = 1");
    Ok(artifact::query(transaction, &sql, [key])?.into_iter().next())
}

fn same(known: &Artifact, new: &NewArtifact) -> bool {
    known.etag == new.etag && known.size == new.size && known.url == new.url
}

/// Adds what an unchanged artifact did not have.
fn add_to(transaction: &Transaction<'_>, id: i64, new: &NewArtifact) -> Result<()> {
    let observations = new.n_observations.map(|count| signed(count, "number of observations")).transpose()?;
    let sql = "UPDATE artifacts SET description = coalesce(?2, description), \
        n_observations = coalesce(n_observations, ?3) WHERE id = ?1";
    transaction.execute(sql, params![id, new.description, observations]).map_err(failure::of)?;
    Ok(())
}

/// A new version of the key, which is then the latest.
fn insert(transaction: &Transaction<'_>, new: &NewArtifact) -> Result<i64> {
    let taken = "SELECT count(*) > 0 FROM collections WHERE key = ?1";
    if transaction.query_row(taken, [&new.key], |row| row.get(0)).map_err(failure::of)? {
        return Err(Error::failed_precondition(format!("the key {:?} is that of a collection", new.key)));
    }
    let (family, stem, version) = next_version(transaction, &new.key)?;
    let uid = format!("{stem}{}", uid::suffix_of(version)?);
    let old = "UPDATE artifacts SET is_latest = 0 WHERE family_id = ?1 AND is_latest = 1";
    transaction.execute(old, [family]).map_err(failure::of)?;
    let sql = "INSERT INTO artifacts (family_id, uid, key, version, is_latest, suffix, kind, url, size, n_files, \
        n_observations, etag, description, created_by, created_at) VALUES \
        (?1, ?2, ?3, ?4, 1, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))";
    let count = |count: Option<u64>, name: &str| count.map(|count| signed(count, name)).transpose();
    let values = params![
        family,
        uid,
        new.key,
        version,
        new.suffix,
        kind_name(new.kind),
        new.url,
        signed(new.size, "size")?,
        count(new.n_files, "number of files")?,
        count(new.n_observations, "number of observations")?,
        new.etag,
        new.description,
        new.created_by,
    ];
    transaction.execute(sql, values).map_err(failure::of)?;
    let id = transaction.last_insert_rowid();
    let sql = "INSERT INTO files (artifact_id, path, size, etag) VALUES (?1, ?2, ?3, ?4)";
    let mut statement = transaction.prepare_cached(sql).map_err(failure::of)?;
    for file in &new.files {
        statement.execute(params![id, file.path, signed(file.size, "size")?, file.etag]).map_err(failure::of)?;
    }
    Ok(id)
}

/// The family of the key (made when there is none), its stem, and the number of the version to come.
fn next_version(transaction: &Transaction<'_>, key: &str) -> Result<(i64, String, u32)> {
    let sql = "UPDATE families SET next_version = next_version + 1 WHERE key = ?1 RETURNING id, stem, next_version - 1";
    let known = transaction.query_row(sql, [key], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)));
    if let Some(known) = known.optional().map_err(failure::of)? {
        return Ok(known);
    }
    let stem = uid::new_stem()?;
    let sql = "INSERT INTO families (key, stem, next_version) VALUES (?1, ?2, 1)";
    transaction.execute(sql, params![key, stem]).map_err(failure::of)?;
    Ok((transaction.last_insert_rowid(), stem, 0))
}
