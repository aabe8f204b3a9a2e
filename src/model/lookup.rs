//! Names that can be looked up: labels and the features of which they are values.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::criteria::MAX_TEXT_BYTES;
use crate::error::{Error, Result};

/// Which names are looked up; all conditions that are given must hold. As JSON, the names are those of the
/// fields, and unknown ones are refused.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Lookup {
    /// What is looked up.
    pub of: LookupOf,
    /// Names starting with this.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
    /// Names that hold this, whatever the case of its ASCII letters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub search: Option<String>,
    /// Labels that are values of this feature.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub feature: Option<String>,
    /// At most so many on a page: 1,000 unless named, never more than 10,000.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<u64>,
    /// Where the page before ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub page_token: Option<String>,
}

/// What is looked up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LookupOf {
    /// Labels.
    #[default]
    Labels,
    /// Collections; they have no feature.
    Collections,
}

/// A label as a look-up shows it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LabelEntry {
    /// Its name.
    pub name: String,
    /// Number of artifacts (latest versions) that have it.
    pub n_artifacts: u64,
    /// The features of which it is a value, each with the number of artifacts, in byte order.
    pub features: Vec<FeatureCount>,
}

/// A feature, and how many artifacts have a label as its value.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FeatureCount {
    /// Name of the feature.
    pub name: String,
    /// Number of artifacts (latest versions).
    pub n_artifacts: u64,
}

impl Lookup {
    /// The look-up in a JSON object.
    ///
    /// # Errors
    /// `InvalidArgument` naming an unknown or malformed field.
    pub fn from_json(fields: Map<String, Value>) -> Result<Self> {
        let lookup: Self = serde_json::from_value(Value::Object(fields))
            .map_err(|error| Error::invalid(format!("lookup: {error}")))?;
        if lookup.of == LookupOf::Collections && lookup.feature.is_some() {
            return Err(Error::invalid("lookup: 'feature' goes with labels, collections have none"));
        }
        let texts = [("prefix", &lookup.prefix), ("search", &lookup.search), ("feature", &lookup.feature)];
        for (name, text) in texts.into_iter().filter_map(|(name, text)| Some((name, text.as_ref()?))) {
            if text.len() > MAX_TEXT_BYTES || text.contains('\0') {
                return Err(Error::invalid(format!(
                    "lookup: '{name}' is longer than {MAX_TEXT_BYTES} bytes or holds the character 0"
                )));
            }
        }
        Ok(lookup)
    }

    /// The same look-up without what says which page.
    #[must_use]
    pub fn unpaged(&self) -> Self {
        Self { limit: None, page_token: None, ..self.clone() }
    }
}
