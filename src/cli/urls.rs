//! Which URLs `register` is to register: those that are given, those of a file, those that a pattern means.

use std::path::Path;

use serde_json::{Value, json};
use url::Url;

use super::location::{absolute_url, storage_root};
use super::target::Target;
use crate::error::{Error, Kind, Result};

/// Longest list of URLs, in bytes.
const LIST_BYTES: u64 = 256 << 20;

/// What is to be registered, and what is not any more.
#[derive(Debug, Default)]
pub(super) struct Urls {
    /// As given, or as a pattern found them.
    pub(super) urls: Vec<String>,
    /// How many that a pattern found are registered as they are.
    pub(super) unchanged: u64,
}

impl Urls {
    /// Adds the lines of a file that are neither empty nor begin with `#`.
    ///
    /// # Errors
    /// `NotFound` for a file that cannot be read, `ResourceExhausted` for one that is too long.
    pub(super) fn add_file(&mut self, path: &Path) -> Result<()> {
        let shown = path.display();
        let unread = |error| Error::not_found(format!("'{shown}' cannot be read")).with_source(error);
        let length = std::fs::metadata(path).map_err(unread)?.len();
        if length > LIST_BYTES {
            return Err(Error::resource_exhausted(format!("'{shown}' has {length} bytes, the limit is {LIST_BYTES}")));
        }
        let text = std::fs::read_to_string(path).map_err(unread)?;
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
        self.urls.extend(lines.map(str::to_owned));
        Ok(())
    }

    /// Adds a URL or path, or what a pattern of URLs means; without what is registered as it is, when that is
    /// to be skipped.
    ///
    /// # Errors
    /// Those of the listing; `NotFound` for a pattern that means nothing.
    pub(super) async fn add(&mut self, target: &Target, given: &str, skip: bool) -> Result<()> {
        if !given.contains(['*', '?', '[']) || !given.contains("://") {
            self.urls.push(given.to_owned());
            return Ok(());
        }
        let body = json!({"url": given});
        let found = match (target, target.action("expand", &body).await) {
            // Whoever runs the command on a registry file may also read.
            (Target::Local(engine), Err(error)) if error.kind() == Kind::PermissionDenied => {
                engine.add_storage(&storage_root(&base(given)?)?).await?;
                target.action("expand", &body).await?
            }
            (_, found) => found?,
        };
        if found.is_empty() {
            return Err(Error::not_found(format!("nothing matches '{given}'")));
        }
        for one in found {
            if skip && one.get("registered").and_then(Value::as_bool) == Some(true) {
                self.unchanged += 1;
            } else {
                self.urls.extend(one.get("url").and_then(Value::as_str).map(str::to_owned));
            }
        }
        Ok(())
    }
}

/// The URL before the first part with a pattern, with a name in it.
fn base(pattern: &str) -> Result<Url> {
    let parts = pattern.split('/').take_while(|part| !part.contains(['*', '?', '[']));
    absolute_url(&format!("{}/x", parts.collect::<Vec<_>>().join("/")))
}
