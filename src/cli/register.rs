//! `register`: adds URLs to the registry.

use std::path::PathBuf;

use clap::error::ErrorKind;
use clap::{Args, CommandFactory};
use futures::StreamExt;
use serde_json::{Value, json};

use super::location::{absolute_url, storage_root};
use super::target::Target;
use super::urls::Urls;
use super::{Cli, Common, print, progress};
use crate::error::{Error, Kind, Result, ResultExt};

/// URLs registered at the same time, unless asked otherwise, and at most.
const JOBS: u64 = 8;
const MOST_JOBS: u64 = 64;

/// Options of `register`.
#[derive(Debug, Args)]
pub(super) struct Register {
    /// Files, folders of shards or zarr stores: local paths, file:// or s3:// URLs. In a URL, *, ? and [a-z] stand
    /// for what is in one part, ** for any number of parts.
    #[arg(value_name = "URL", required_unless_present = "from_file")]
    urls: Vec<String>,
    /// A file with one URL on each line; lines that begin with # are left out.
    #[arg(long, value_name = "FILE")]
    from_file: Option<PathBuf>,
    /// Key under which the URL is found; default: the path below the storage root.
    #[arg(long)]
    key: Option<String>,
    /// Label to attach; may be repeated.
    #[arg(long = "label", value_name = "NAME")]
    labels: Vec<String>,
    /// Free text.
    #[arg(long)]
    description: Option<String>,
    /// URLs registered at the same time.
    #[arg(long, value_name = "COUNT", default_value_t = JOBS, value_parser = clap::value_parser!(u64).range(1..=MOST_JOBS))]
    jobs: u64,
}

impl Register {
    /// Registers all URLs; one that fails does not stop the others. What is registered as it is changes
    /// nothing, so that a command that was stopped can be given again.
    pub(super) async fn run(self, common: &Common) -> Result<()> {
        let target = common.target().await?;
        let mut urls = Urls::default();
        self.from_file.as_deref().map_or(Ok(()), |path| urls.add_file(path))?;
        for given in &self.urls {
            // What is registered may lack the labels.
            let skip = self.labels.is_empty() && self.description.is_none();
            urls.add(&target, given, skip).await.with_context(|| format!("'{given}'"))?;
        }
        let Urls { urls, mut unchanged } = urls;
        let count = urls.len();
        if self.key.is_some() && count as u64 + unchanged > 1 {
            Cli::command().error(ErrorKind::ArgumentConflict, "--key names one URL, several are given").exit();
        }
        let bar = progress::bar(count as u64);
        let mut failed = Vec::new();
        let mut running = futures::stream::iter(urls)
            .map(|given| async {
                let result = self.register(&target, &given).await.with_context(|| format!("'{given}'"));
                (given, result)
            })
            .buffer_unordered(usize::try_from(self.jobs).unwrap_or(1));
        while let Some((given, result)) = running.next().await {
            bar.set_message(given);
            bar.inc(1);
            match result {
                Ok(artifact) => {
                    unchanged += u64::from(!is_new(&artifact));
                    bar.suspend(
                        || if common.json { print::json(&artifact) } else { print::line(&summary(&artifact)) },
                    )?;
                }
                Err(error) => failed.push(error),
            }
        }
        bar.finish_and_clear();
        ended(count, unchanged, failed)
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

/// What came of all: the one error of one URL, or all errors and how many they are.
fn ended(count: usize, unchanged: u64, mut failed: Vec<Error>) -> Result<()> {
    match (count, failed.pop()) {
        (_, None) if unchanged == 0 || count == 1 => Ok(()),
        (_, None) => print::note(&format!("{unchanged} unchanged")),
        (1, Some(error)) => Err(error),
        (_, Some(last)) => {
            failed.push(last);
            failed.iter().try_for_each(|error| print::note(&format!("error: {error}")))?;
            let kind = failed.first().map_or(Kind::Internal, Error::kind);
            Err(Error::new(kind, format!("{} of {count} URLs could not be registered", failed.len())))
        }
    }
}

fn is_new(artifact: &Value) -> bool {
    artifact.get("created").and_then(Value::as_bool) != Some(false)
}

fn summary(artifact: &Value) -> String {
    let text = |name: &str| artifact.get(name).and_then(Value::as_str).unwrap_or("?").to_owned();
    let version = artifact.get("version").and_then(Value::as_u64).unwrap_or(0);
    let unchanged = if is_new(artifact) { "" } else { " unchanged" };
    format!("{} version {version} {}{unchanged}", text("key"), text("uid"))
}
