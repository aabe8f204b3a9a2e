//! Which artifact or collection a command names.

use clap::Args;
use serde_json::{Value, json};

use crate::model::request::Source;

/// An artifact by key (or another name), in one version.
#[derive(Clone, Debug, Args)]
pub(super) struct Named {
    /// Key of the artifact or collection.
    #[arg(value_name = "KEY")]
    key: String,
    /// Version of the key: the last four characters of the uid, or the version number.
    #[arg(long = "version", value_name = "VERSION", conflicts_with_all = ["by_uid", "by_collection"])]
    artifact_version: Option<String>,
    /// KEY is a uid, or the unique beginning of one.
    #[arg(long = "uid", conflicts_with = "by_collection")]
    by_uid: bool,
    /// KEY is a collection, also when an artifact has the same key.
    #[arg(long = "collection")]
    by_collection: bool,
}

impl Named {
    /// The name as requests hold it.
    pub(super) fn source(&self) -> Source {
        match (self.by_uid, self.by_collection) {
            (true, _) => Source::Uid(self.key.clone()),
            (_, true) => Source::Collection(self.key.clone()),
            _ => Source::Key { key: self.key.clone(), version: self.artifact_version.clone() },
        }
    }

    /// The name as action bodies hold it.
    pub(super) fn body(&self) -> Value {
        match self.source() {
            Source::Uid(uid) => json!({"uid": uid}),
            Source::Collection(collection) => json!({"collection": collection}),
            Source::Url(url) => json!({"url": url}),
            Source::Registry(table) => json!({"registry": table.name()}),
            Source::Key { key, version: None } => json!({"key": key}),
            Source::Key { key, version: Some(version) } => json!({"key": key, "version": version}),
        }
    }
}
