//! LaminDB instances beside our own registry: opening them, their storages, and what their artifacts hold.

mod content;
mod database;
mod hash;
mod options;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

pub(super) use content::{Contents, Look};
pub use options::LaminDb;

use crate::error::Result;
use crate::model::object_files::ObjectFiles;
use crate::registry::Registry;
use crate::registry::lamindb::{Instance, InstanceOptions};
use crate::storage::{StorageOptions, Storages};
use database::DatabaseFiles;

/// Opens the instances and serves them beside what `registry` knows. Copies of their databases lie beside the
/// registry's own file.
///
/// # Errors
/// As [`Instance::open`] and [`Registry::add_instance`].
pub(super) async fn open_all(registry: &mut Registry, instances: &[LaminDb], reading: &StorageOptions) -> Result<()> {
    let scratch = registry.native().path().parent().filter(|folder| !folder.as_os_str().is_empty());
    let scratch = scratch.unwrap_or(Path::new(".")).to_path_buf();
    for instance in instances {
        // A database is read through storages of its own: no request can name it.
        let reading = StorageOptions { cache_bytes: 0, ..reading.clone() };
        let files = DatabaseFiles::new(Storages::new(reading), instance.options.clone());
        let files: Arc<dyn ObjectFiles> = Arc::new(files);
        let options = InstanceOptions::new(&instance.url, instance.refresh, scratch.clone(), instance.database_bytes)
            .with_name(instance.name.clone())
            .with_remap(instance.remap.clone())
            .with_hashes(instance.check_hashes);
        registry.add_instance(Instance::open(options, files).await?)?;
    }
    Ok(())
}

/// Allows the roots of the instances' storages that are not known yet. One that cannot be read is left out: what
/// lies in it is refused when it is asked for.
///
/// # Errors
/// `Unavailable` when the records of an instance cannot be read.
pub(super) async fn add_storages(storages: &Storages, registry: &Registry, instances: &[LaminDb]) -> Result<()> {
    for (instance, given) in registry.instances().iter().zip(instances) {
        for (root, recorded) in instance.storages().await? {
            if storages.roots().iter().any(|known| known.url == root) {
                continue;
            }
            if let Err(error) = storages.add(&root, store_options(&root, recorded, &given.options)) {
                tracing::warn!(instance = instance.shown(), root, %error, "a storage of the instance is not served");
            }
        }
    }
    Ok(())
}

/// The options of the configuration over those of the record. A folder of this machine has none.
fn store_options(
    root: &str,
    recorded: BTreeMap<String, String>,
    given: &BTreeMap<String, String>,
) -> BTreeMap<String, String> {
    if root.starts_with("file://") {
        return BTreeMap::new();
    }
    let given = given.iter().map(|(name, value)| (name.clone(), value.clone()));
    recorded.into_iter().chain(given).collect()
}
