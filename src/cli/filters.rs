//! The conditions of `ls` and `search`, as criteria.

use clap::Args;
use serde_json::{Map, Value, json};

use crate::error::{Error, Result};

/// Conditions that must all hold.
#[derive(Clone, Debug, Args)]
pub(super) struct Filters {
    /// Only artifacts, or only collections.
    #[arg(long = "type", value_name = "TYPE", value_parser = ["artifact", "collection"])]
    entry_type: Option<String>,
    /// This key, or keys that match it where it holds *, ? or [a-z].
    #[arg(long, value_name = "PATTERN")]
    key: Option<String>,
    /// Artifacts with this suffix (`.h5ad`).
    #[arg(long)]
    suffix: Option<String>,
    /// Artifacts of this kind.
    #[arg(long, value_parser = ["hdf5", "h5ad", "zarr", "parquet", "other"])]
    kind: Option<String>,
    /// Artifacts with this label; may be repeated, all must be there.
    #[arg(long = "label", value_name = "NAME")]
    labels: Vec<String>,
    /// Artifacts with this label as the value of the feature; may be repeated, all must be there.
    #[arg(long = "feature", value_name = "FEATURE=NAME")]
    features: Vec<String>,
    /// Members of this collection (key or uid).
    #[arg(long)]
    collection: Option<String>,
    /// Made by this user.
    #[arg(long, value_name = "USER")]
    created_by: Option<String>,
    /// Made from this date or RFC 3339 time on.
    #[arg(long, value_name = "TIME")]
    created_from: Option<String>,
    /// Made before this date or RFC 3339 time.
    #[arg(long, value_name = "TIME")]
    created_to: Option<String>,
    /// At least so many bytes.
    #[arg(long, value_name = "BYTES")]
    min_size: Option<u64>,
    /// At most so many bytes.
    #[arg(long, value_name = "BYTES")]
    max_size: Option<u64>,
    /// At least so many rows or observations.
    #[arg(long, value_name = "ROWS")]
    min_observations: Option<u64>,
    /// At most so many rows or observations.
    #[arg(long, value_name = "ROWS")]
    max_observations: Option<u64>,
    /// Descriptions that hold this, whatever the case of its letters.
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,
    /// Older versions too.
    #[arg(long)]
    all_versions: bool,
    /// What is in the trash instead.
    #[arg(long)]
    trashed: bool,
    /// At most so many. Default: all.
    #[arg(long)]
    pub(super) limit: Option<u64>,
}

impl Filters {
    /// The criteria as JSON, without the limit.
    ///
    /// # Errors
    /// `InvalidArgument` for a feature without a label.
    pub(super) fn criteria(&self) -> Result<Map<String, Value>> {
        let mut criteria = Map::new();
        let texts = [
            ("type", &self.entry_type),
            ("key", &self.key),
            ("suffix", &self.suffix),
            ("kind", &self.kind),
            ("collection", &self.collection),
            ("created_by", &self.created_by),
            ("description", &self.description),
        ];
        let texts = texts.into_iter().filter_map(|(name, text)| Some((name.to_owned(), text.clone()?.into())));
        criteria.extend(texts);
        let labels = self.labels.iter().map(|name| Ok(json!(name)));
        let labels: Vec<Value> = labels.chain(self.features.iter().map(|text| feature(text))).collect::<Result<_>>()?;
        if !labels.is_empty() {
            criteria.insert("labels".into(), labels.into());
        }
        let ranges = [
            ("created_at", json!({"from": self.created_from, "to": self.created_to})),
            ("size", json!({"min": self.min_size, "max": self.max_size})),
            ("n_observations", json!({"min": self.min_observations, "max": self.max_observations})),
        ];
        let given = |range: &Value| range.as_object().is_some_and(|range| !range.values().all(Value::is_null));
        criteria.extend(ranges.into_iter().filter(|(_, range)| given(range)).map(|(name, range)| (name.into(), range)));
        let flags = [("all_versions", self.all_versions), ("trashed", self.trashed)];
        criteria.extend(flags.into_iter().filter(|(_, set)| *set).map(|(name, _)| (name.into(), true.into())));
        Ok(criteria)
    }
}

/// `FEATURE=NAME` as a label.
fn feature(text: &str) -> Result<Value> {
    let (feature, name) =
        text.split_once('=').ok_or_else(|| Error::invalid(format!("--feature '{text}': expected FEATURE=NAME")))?;
    Ok(json!({"name": name, "feature": feature}))
}
