//! Which artifacts a listing or a search shows.

use serde::{Deserialize, Serialize};

/// Conditions on artifacts and collections; all that are given must hold. As JSON, the names are those of
/// the fields, and unknown ones are refused.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Criteria {
    /// Keys starting with this.
    pub key_prefix: Option<String>,
    /// Artifacts with this label.
    pub label: Option<String>,
    /// Artifacts with this suffix, with the dot (`.h5ad`).
    pub suffix: Option<String>,
    /// Words searched in key, description and labels.
    pub search: Option<String>,
    /// Older versions too.
    pub all_versions: bool,
    /// At most so many; 1,000 unless named, never more than 100,000.
    pub limit: Option<u64>,
}
