//! `register`: adds URLs to the registry.

use clap::error::ErrorKind;
use clap::{Args, CommandFactory};
use serde_json::{Value, json};
use url::Url;

use super::target::Target;
use super::{Cli, Common, print, progress};
use crate::error::{Error, Kind, Result, ResultExt};

/// Options of `register`.
#[derive(Debug, Args)]
pub(super) struct Register {
    /// Files, folders of shards or zarr stores: local paths, file:// or s3:// URLs.
    #[arg(value_name = "URL", required = true)]
    urls: Vec<String>,
    /// Key under which the URL is found; default: the path below the storage root.
    #[arg(long)]
    key: Option<String>,
    /// Label to attach; may be repeated.
    #[arg(long = "label", value_name = "NAME")]
    labels: Vec<String>,
    /// Free text.
    #[arg(long)]
    description: Option<String>,
}

impl Register {
    pub(super) async fn run(self, common: &Common) -> Result<()> {
        if self.key.is_some() && self.urls.len() > 1 {
            Cli::command().error(ErrorKind::ArgumentConflict, "--key names one URL, several are given").exit();
        }
        let target = common.target().await?;
        let bar = progress::bar(self.urls.len() as u64);
        for given in &self.urls {
            bar.set_message(given.clone());
            let artifact = self.register(&target, given).await.with_context(|| format!("'{given}'"))?;
            bar.suspend(|| if common.json { print::json(&artifact) } else { print::line(&summary(&artifact)) })?;
            bar.inc(1);
        }
        bar.finish_and_clear();
        Ok(())
    }

    /// Registers one URL. On a registry file, whoever runs the command may also read: a URL outside
    /// the storages adds its own.
    async fn register(&self, target: &Target, given: &str) -> Result<Value> {
        let url = absolute_url(given)?;
        let mut body = json!({"url": url.as_str(), "labels": self.labels});
        for (name, value) in [("key", &self.key), ("description", &self.description)] {
            if let (Some(fields), Some(value)) = (body.as_object_mut(), value) {
                fields.insert(name.into(), value.clone().into());
            }
        }
        let result = target.one("register", &body).await;
        match (target, result) {
            (Target::Local(engine), Err(error)) if error.kind() == Kind::PermissionDenied => {
                engine.add_storage(&storage_root(&url)?).await?;
                target.one("register", &body).await
            }
            (_, result) => result,
        }
    }
}

fn summary(artifact: &Value) -> String {
    let text = |name: &str| artifact.get(name).and_then(Value::as_str).unwrap_or("?").to_owned();
    let version = artifact.get("version").and_then(Value::as_u64).unwrap_or(0);
    format!("{} version {version} {}", text("key"), text("uid"))
}

/// A URL as given, or the file:// URL of a local path.
pub(super) fn absolute_url(given: &str) -> Result<Url> {
    if given.contains("://") {
        return Url::parse(given).map_err(|error| Error::invalid(format!("'{given}' is not a URL: {error}")));
    }
    let path = std::path::absolute(given)
        .map_err(|error| Error::invalid(format!("'{given}' is not a path")).with_source(error))?;
    // `absolute` keeps `..`, which a URL must not.
    let path = path
        .canonicalize()
        .map_err(|error| Error::not_found(format!("no file or folder '{}'", path.display())).with_source(error))?;
    Url::from_file_path(&path).map_err(|()| Error::invalid(format!("'{}' is not a path", path.display())))
}

/// The storage that a URL lies in when none is known: the folder of a local file or of a web server, the repository of
/// Hugging Face at its revision, else the bucket.
pub(super) fn storage_root(url: &Url) -> Result<String> {
    let mut root = url.clone();
    root.set_query(None);
    root.set_fragment(None);
    if matches!(url.scheme(), "file" | "http" | "https") {
        let no_folder = || Error::invalid(format!("'{url}' lies in no folder"));
        let mut parts = root.path_segments_mut().map_err(|()| no_folder())?;
        parts.pop_if_empty().pop();
        drop(parts);
        return Ok(root.into());
    }
    if url.host_str().is_none_or(str::is_empty) {
        return Err(Error::invalid(format!("'{url}' names no bucket")));
    }
    if url.scheme() == "hf" {
        return repository_root(url);
    }
    root.set_path("");
    Ok(root.into())
}

/// The repository of an `hf://` URL; a revision that stands behind the path is the repository's.
fn repository_root(url: &Url) -> Result<String> {
    let kind = url.host_str().filter(|host| matches!(*host, "datasets" | "spaces"));
    let parts: Vec<&str> =
        kind.map_or(url.host_str(), |_| None).into_iter().chain(url.path_segments().into_iter().flatten()).collect();
    let [owner, name, path @ ..] = parts.as_slice() else {
        return Err(Error::invalid(format!("'{url}' names no repository")));
    };
    let behind = path.last().and_then(|last| last.rsplit_once('@')).filter(|_| !name.contains('@'));
    let revision = behind.map_or(String::new(), |(_, revision)| format!("@{revision}"));
    let kind = kind.map_or(String::new(), |kind| format!("{kind}/"));
    Ok(format!("hf://{kind}{owner}/{name}{revision}"))
}
