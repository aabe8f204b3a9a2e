//! From the rows of an instance to those of its mirror: paths, times, versions and guards are decided here, once.

use std::collections::{BTreeMap, HashMap};

use rusqlite::{Transaction, params};
use serde_json::Value;

use crate::error::{Error, Result, ResultExt};
use crate::model::artifact::ArtifactKind;
use crate::registry::lamindb::path::{self, Named, Root};
use crate::registry::lamindb::tables::{self, Record, Tables};
use crate::registry::lamindb::time::rfc3339;
use crate::registry::native::{artifact::kind_name, failure, uid};

/// What decides on keys and places.
#[derive(Clone, Debug, Default)]
pub(in crate::registry::lamindb) struct Naming {
    /// Name of the instance, which then begins each key.
    pub(in crate::registry::lamindb) name: Option<String>,
    /// Storage roots that are elsewhere than the instance says.
    pub(in crate::registry::lamindb) remap: BTreeMap<String, String>,
    /// Whether recorded hashes of contents are left out, so that nothing is compared with them.
    pub(in crate::registry::lamindb) without_hashes: bool,
}

impl Naming {
    fn key(&self, key: &str) -> String {
        self.name.as_ref().map_or_else(|| key.to_owned(), |name| format!("{name}/{key}"))
    }
}

/// What rows refer to.
#[derive(Debug, Default)]
struct Known {
    roots: HashMap<i64, Root>,
    /// Handle and name.
    users: HashMap<i64, (String, Option<String>)>,
    features: HashMap<i64, String>,
}

impl Known {
    fn user(&self, id: Option<i64>) -> (Option<&str>, Option<&str>) {
        match id.and_then(|id| self.users.get(&id)) {
            Some((handle, name)) => (Some(handle), name.as_deref()),
            None => (None, None),
        }
    }
}

/// Takes over all rows.
pub(super) fn all(tables: &mut dyn Tables, into: &Transaction<'_>, naming: &Naming) -> Result<()> {
    let known = known(tables, into, naming)?;
    tables::ARTIFACTS.read(tables, &mut |row| {
        artifact(row, into, naming, &known).with_context(|| format!("artifact {:?}", uid_of(row)))
    })?;
    for (number, registry) in (0_i64..).zip(tables::LABELS) {
        // Both registries count from 1: their labels are told apart by the last digit.
        let count = tables::LABELS.len() as i64;
        let id_of = |id: i64| id.checked_mul(count).and_then(|id| id.checked_add(number));
        let id_of = |id: i64| id_of(id).ok_or_else(|| Error::data_loss(format!("the label id {id} is too large")));
        registry.labels.read(tables, &mut |row| label(row, into, registry.name, &id_of))?;
        registry.links.read(tables, &mut |row| link(row, into, &known, &id_of))?;
    }
    tables::COLLECTIONS.read(tables, &mut |row| {
        collection(row, into, naming, &known).with_context(|| format!("collection {:?}", uid_of(row)))
    })?;
    let mut counts: HashMap<i64, i64> = HashMap::new();
    tables::MEMBERS.read(tables, &mut |row| {
        let collection = row.integer(1, "collection")?.unwrap_or_default();
        let position = counts.entry(collection).or_default();
        let sql = "INSERT INTO collection_members (collection_id, position, artifact_id) VALUES (?1, ?2, ?3)";
        insert(into, sql, params![collection, *position, row.integer(2, "artifact")?])?;
        *position = position.saturating_add(1);
        Ok(())
    })
}

fn known(tables: &mut dyn Tables, into: &Transaction<'_>, naming: &Naming) -> Result<Known> {
    let mut known = Known::default();
    let id = |row: &Record| row.integer(0, "id").map(Option::unwrap_or_default);
    tables::STORAGES.read(tables, &mut |row| {
        let root = path::root(row.required(1, "root")?, row.text(2)?, &naming.remap);
        let options = Value::from_iter(root.options.clone()).to_string();
        insert(into, "INSERT INTO storages (url, options) VALUES (?1, ?2)", params![root.url, options])?;
        known.roots.insert(id(row)?, root);
        Ok(())
    })?;
    tables::USERS.read(tables, &mut |row| {
        let user = (row.required(1, "handle")?.to_owned(), row.text(2)?.map(str::to_owned));
        known.users.insert(id(row)?, user);
        Ok(())
    })?;
    tables::FEATURES.read(tables, &mut |row| {
        known.features.extend(row.text(1)?.map(|name| (id(row).unwrap_or_default(), name.to_owned())));
        Ok(())
    })?;
    Ok(known)
}

fn artifact(row: &Record, into: &Transaction<'_>, naming: &Naming, known: &Known) -> Result<()> {
    let uid = row.required(1, "uid")?;
    let suffix = row.required(6, "suffix")?;
    let storage = row.integer(7, "storage")?.unwrap_or_default();
    let root =
        known.roots.get(&storage).ok_or_else(|| Error::data_loss(format!("its storage {storage} is not there")))?;
    let path = path::storage_path(Named {
        uid,
        key: row.text(2)?,
        real_key: row.text(3)?,
        suffix,
        key_is_virtual: row.flag(4)?,
        overwrites_versions: row.flag(5)?,
    });
    let n_files = row.integer(14, "number of files")?;
    let (handle, name) = known.user(row.integer(21, "maker")?);
    let sql = "INSERT INTO artifacts VALUES \
        (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20)";
    let values = params![
        row.integer(0, "id")?,
        uid,
        naming.key(row.text(2)?.unwrap_or(uid)),
        version(uid),
        row.text(10)?,
        row.flag(9)?,
        row.integer(8, "branch")?.unwrap_or(1),
        suffix,
        kind_name(kind(suffix, n_files)),
        path::url_below(&root.url, &path),
        row.integer(13, "size")?,
        n_files,
        row.integer(15, "number of observations")?,
        row.text(16)?.filter(|_| !naming.without_hashes),
        row.text(17)?,
        refusal(row)?,
        row.text(19)?,
        rfc3339(row.text(20)?.unwrap_or_default()),
        handle,
        name,
    ];
    insert(into, sql, values)
}

/// Why the content must not be read.
fn refusal(row: &Record) -> Result<Option<&'static str>> {
    if row.text(18)?.is_some_and(is_unfinished) {
        return Ok(Some("its upload is not finished"));
    }
    let overwritten = row.flag(5)? && !row.flag(9)?;
    Ok(overwritten.then_some("its files were overwritten by a newer version: ask for the latest"))
}

/// Whether `_aux` says that the content is still being written: `{"so": 1}`.
fn is_unfinished(aux: &str) -> bool {
    let aux: Value = serde_json::from_str(aux).unwrap_or_default();
    match aux.get("so") {
        None | Some(Value::Null | Value::Bool(false)) => false,
        Some(state) => state.as_i64() != Some(0),
    }
}

/// How the content is read, as far as its suffix tells; that of a folder without one is told when it is opened.
fn kind(suffix: &str, n_files: Option<i64>) -> ArtifactKind {
    let is_zarr = [".zarr", ".zarr.zip"].iter().any(|end| suffix.ends_with(end));
    match (suffix, n_files) {
        _ if is_zarr => ArtifactKind::Zarr,
        ("", Some(_)) => ArtifactKind::Parquet,
        _ => ArtifactKind::of_file(suffix),
    }
}

/// The number that the end of a uid counts.
fn version(artifact: &str) -> u32 {
    artifact.get(uid::STEM..).and_then(|end| uid::version_of(end).ok()).unwrap_or_default()
}

fn label(row: &Record, into: &Transaction<'_>, registry: &str, id_of: &dyn Fn(i64) -> Result<i64>) -> Result<()> {
    // A record may have no name: nobody can ask for it by one.
    let Some(name) = row.text(2)? else { return Ok(()) };
    let id = id_of(row.integer(0, "id")?.unwrap_or_default())?;
    let branch = row.integer(4, "branch")?.unwrap_or(1);
    let sql = "INSERT INTO labels (id, registry, uid, name, description, branch) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
    insert(into, sql, params![id, registry, row.required(1, "uid")?, name, row.text(3)?, branch])
}

fn link(row: &Record, into: &Transaction<'_>, known: &Known, id_of: &dyn Fn(i64) -> Result<i64>) -> Result<()> {
    let label = id_of(row.integer(1, "label")?.unwrap_or_default())?;
    let feature = row.integer(2, "feature")?.and_then(|id| known.features.get(&id));
    let sql = "INSERT INTO artifact_labels (artifact_id, label_id, feature) VALUES (?1, ?2, ?3)";
    insert(into, sql, params![row.integer(0, "artifact")?, label, feature])
}

fn collection(row: &Record, into: &Transaction<'_>, naming: &Naming, known: &Known) -> Result<()> {
    let uid = row.required(1, "uid")?;
    let (handle, name) = known.user(row.integer(8, "maker")?);
    let sql = "INSERT INTO collections VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)";
    let values = params![
        row.integer(0, "id")?,
        uid,
        naming.key(row.required(2, "key")?),
        version(uid),
        row.text(5)?,
        row.flag(4)?,
        row.integer(3, "branch")?.unwrap_or(1),
        row.text(6)?,
        rfc3339(row.text(7)?.unwrap_or_default()),
        handle,
        name,
    ];
    insert(into, sql, values)
}

fn uid_of(row: &Record) -> String {
    row.text(1).ok().flatten().unwrap_or_default().chars().take(20).collect()
}

fn insert(into: &Transaction<'_>, sql: &str, values: impl rusqlite::Params) -> Result<()> {
    let mut statement = into.prepare_cached(sql).map_err(failure::of)?;
    statement.execute(values).map_err(failure::of)?;
    Ok(())
}
