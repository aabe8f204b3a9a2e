//! One name, several registries: whoever knows it answers, and when several do, nobody guesses.

use super::Registry;
use super::lamindb::Instance;
use crate::error::{Error, Kind, Result};
use crate::model::artifact::{Artifact, Collection};
use crate::model::request::Source;

impl Registry {
    /// The artifact that `source` names, with labels, and with files where our own registry knows it.
    ///
    /// A key means its latest version unless one is named; a uid may be a unique prefix, and up to 16
    /// characters of it mean the latest version; a URL means the newest artifact registered with it, in our own
    /// registry before others.
    ///
    /// # Errors
    /// `NotFound` naming near matches, `InvalidArgument` listing candidates when several are meant, also when
    /// several registries know the name.
    pub async fn artifact(&self, source: &Source) -> Result<Artifact> {
        let own = self.native.artifact(source).await;
        let is_url = matches!(source, Source::Url(_));
        if self.instances.is_empty() || (is_url && own.is_ok()) {
            return own;
        }
        let mut answers = vec![own];
        for instance in self.instances.iter().filter(|one| may_know(one, source)) {
            answers.push(instance.artifact(source).await);
        }
        if is_url {
            // A place may belong to several instances: it is the same place.
            let found = answers.into_iter().find(|answer| !matches!(answer, Err(error) if is_missing(error)));
            return found.unwrap_or_else(|| Err(Error::not_found("no artifact is registered with this URL")));
        }
        only(answers, named)
    }

    /// The collection of a key or of a uid (full or a unique prefix), with its artifacts in order.
    ///
    /// # Errors
    /// As [`Self::artifact`].
    pub async fn collection(&self, key_or_uid: &str) -> Result<Collection> {
        let mut answers = vec![self.native.collection(key_or_uid).await];
        for instance in &self.instances {
            answers.push(instance.collection(key_or_uid).await);
        }
        only(answers, |collection| format!("{} ({})", collection.uid, collection.key))
    }
}

fn named(artifact: &Artifact) -> String {
    format!("{} ({})", artifact.uid, artifact.key)
}

/// Whether the keys of an instance could be this one.
fn may_know(instance: &Instance, source: &Source) -> bool {
    match (instance.name(), source) {
        (Some(name), Source::Key { key, .. }) => {
            key.strip_prefix(name).is_some_and(|rest| rest.starts_with('/')) || name.starts_with(key.as_str())
        }
        _ => true,
    }
}

fn is_missing(error: &Error) -> bool {
    error.kind() == Kind::NotFound
}

/// The one answer that is no "not found". When all are, that of the last is given: an instance was asked after our
/// own registry, and one with a name only when the name fits.
fn only<T>(answers: Vec<Result<T>>, named: impl Fn(&T) -> String) -> Result<T> {
    let (mut found, mut missing) = (Vec::new(), None);
    for answer in answers {
        match answer {
            Err(error) if is_missing(&error) => missing = Some(error),
            Err(error) => return Err(error),
            Ok(one) => found.push(one),
        }
    }
    if found.len() > 1 {
        let candidates: Vec<String> = found.iter().map(named).collect();
        let message = "several registries know the name; candidates by uid";
        return Err(Error::invalid(format!("{message}: {}", candidates.join(", "))));
    }
    found.pop().ok_or_else(|| missing.unwrap_or_else(|| Error::not_found("no registry knows the name")))
}
