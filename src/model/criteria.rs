//! Which artifacts and collections a listing or a search shows.
//!
//! Between the wire (JSON) and the registries, which answer it in SQL. It says conditions and checks that
//! they are well formed; it looks nothing up.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::artifact::ArtifactKind;
use crate::error::{Error, Result};

mod label;
mod moment;
mod pattern;
mod range;
#[cfg(test)]
mod tests;

pub use label::FeatureLabel;
pub use moment::Moment;
pub use pattern::KeyPattern;
pub use range::{CountRange, TimeRange};

/// Most labels of one criteria.
pub const MAX_LABELS: usize = 64;

/// Most words of a search.
pub const MAX_WORDS: usize = 32;

/// Longest text of a criterion, in bytes.
pub const MAX_TEXT_BYTES: usize = 4096;

/// Conditions on artifacts and collections; all that are given must hold. As JSON, the names are those of
/// the fields, and unknown ones are refused. Read it with [`Criteria::from_json`], which names what is wrong.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Criteria {
    /// Only artifacts, or only collections.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub entry_type: Option<EntryType>,
    /// Keys that are this, or match it where it holds `*`, `?` or `[…]`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<KeyPattern>,
    /// Keys starting with this.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_prefix: Option<String>,
    /// Artifacts with this suffix, with the dot (`.h5ad`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub suffix: Option<String>,
    /// Artifacts that are read so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<ArtifactKind>,
    /// Artifacts with this label: short for `labels` with one name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// Artifacts with all of these labels.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub labels: Vec<FeatureLabel>,
    /// Members of the collection with this key or uid, in the versions that are members; an unknown one has
    /// none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub collection: Option<String>,
    /// Made by this user.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_by: Option<String>,
    /// Made in this time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_at: Option<TimeRange>,
    /// Artifacts of so many bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<CountRange>,
    /// Artifacts of so many rows or observations; those of which the number is not known are left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub n_observations: Option<CountRange>,
    /// Descriptions that hold this, whatever the case of its ASCII letters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Words that must all begin a word of key, description or labels; the best artifacts come first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub search: Option<String>,
    /// Older versions too.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub all_versions: bool,
    /// What is in the trash instead of what is not; in all versions, as none is the latest there.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub trashed: bool,
    /// At most so many; of a page, 1,000 unless named and never more than 10,000.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<u64>,
    /// Where the page before ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub page_token: Option<String>,
}

/// What a registry holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EntryType {
    /// Artifacts.
    Artifact,
    /// Collections.
    Collection,
}

impl Criteria {
    /// The criteria in a JSON object.
    ///
    /// # Errors
    /// `InvalidArgument` naming an unknown or malformed field.
    pub fn from_json(fields: Map<String, Value>) -> Result<Self> {
        let criteria = serde_json::from_value(Value::Object(fields.clone()))
            .map_err(|error| Error::invalid(format!("criteria: {}", named(fields, &error.to_string()))))?;
        Self::check(&criteria)?;
        Ok(criteria)
    }

    /// The same criteria without what says which page.
    #[must_use]
    pub fn unpaged(&self) -> Self {
        Self { limit: None, page_token: None, ..self.clone() }
    }

    /// Every label that must be there: those of `label` and of `labels`.
    pub fn all_labels(&self) -> Vec<FeatureLabel> {
        let short = self.label.iter().map(|name| FeatureLabel { name: name.clone(), feature: None });
        let mut all: Vec<_> = short.collect();
        for label in &self.labels {
            if !all.contains(label) {
                all.push(label.clone());
            }
        }
        all
    }

    /// Whether only the latest version of each key meets the criteria.
    pub fn latest_only(&self) -> bool {
        !self.all_versions && !self.trashed && self.collection.is_none()
    }

    /// Whether artifacts can meet the criteria.
    pub fn wants_artifacts(&self) -> bool {
        self.entry_type != Some(EntryType::Collection)
    }

    /// Whether collections can meet the criteria. They have a key, a description, a time and a maker; all
    /// other conditions are on artifacts, and collections are not in the trash.
    pub fn wants_collections(&self) -> bool {
        let on_artifacts = self.suffix.is_some()
            || self.kind.is_some()
            || self.label.is_some()
            || !self.labels.is_empty()
            || self.collection.is_some()
            || self.size.is_some()
            || self.n_observations.is_some()
            || self.search.is_some()
            || self.trashed;
        self.entry_type != Some(EntryType::Artifact) && !on_artifacts
    }

    fn check(&self) -> Result<()> {
        let count = self.labels.len();
        if count > MAX_LABELS {
            return Err(Error::invalid(format!("criteria: 'labels' has {count} labels, the limit is {MAX_LABELS}")));
        }
        let labels = self.labels.iter().flat_map(|label| [Some(&label.name), label.feature.as_ref()]).flatten();
        let texts = [
            ("key", self.key.as_ref().map(KeyPattern::text)),
            ("key_prefix", self.key_prefix.as_deref()),
            ("suffix", self.suffix.as_deref()),
            ("label", self.label.as_deref()),
            ("collection", self.collection.as_deref()),
            ("created_by", self.created_by.as_deref()),
            ("description", self.description.as_deref()),
            ("search", self.search.as_deref()),
            ("page_token", self.page_token.as_deref()),
        ];
        let texts = texts.into_iter().filter_map(|(name, text)| Some((name, text?)));
        for (name, text) in texts.chain(labels.map(|label| ("labels", label.as_str()))) {
            if text.len() > MAX_TEXT_BYTES {
                let found = text.len();
                return Err(Error::invalid(format!(
                    "criteria: '{name}' has {found} bytes, the limit is {MAX_TEXT_BYTES}"
                )));
            }
            if text.contains('\0') {
                return Err(Error::invalid(format!("criteria: '{name}' holds the character 0")));
            }
        }
        let words = |search: &String| search.chars().any(char::is_alphanumeric);
        if self.search.as_ref().is_some_and(|search| !words(search)) {
            return Err(Error::invalid("criteria: 'search' holds no word"));
        }
        let count = self.search.as_ref().map_or(0, |search| search.split_whitespace().count());
        if count > MAX_WORDS {
            return Err(Error::invalid(format!("criteria: 'search' has {count} words, the limit is {MAX_WORDS}")));
        }
        let counts = [("size", self.size), ("n_observations", self.n_observations)];
        counts.into_iter().try_for_each(|(name, range)| range.map_or(Ok(()), |range| range.check(name)))?;
        self.created_at.map_or(Ok(()), |range| range.check("created_at"))
    }
}

/// The error with the name of the field that it is about: the one that is wrong also by itself.
fn named(fields: Map<String, Value>, error: &str) -> String {
    let alone = |name: &str, value: Value| {
        let field = Map::from_iter([(name.to_owned(), value)]);
        serde_json::from_value::<Criteria>(Value::Object(field)).err()
    };
    let wrong = fields.into_iter().find_map(|(name, value)| Some((alone(&name, value)?.to_string(), name)));
    match wrong {
        Some((error, name)) if error.contains("unknown field `") && error.contains(&format!("`{name}`")) => error,
        Some((error, name)) => format!("'{name}': {error}"),
        None => error.to_owned(),
    }
}
