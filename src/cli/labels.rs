//! `labels`: which labels there are, and how many artifacts have them.

use clap::Args;
use serde_json::{Map, Value};

use super::{Common, print, table};
use crate::error::Result;

/// Options of `labels`.
#[derive(Debug, Args)]
pub(super) struct Labels {
    /// Names beginning with this.
    #[arg(value_name = "PREFIX")]
    prefix: Option<String>,
    /// Names that hold this, whatever the case of its letters.
    #[arg(long, value_name = "TEXT")]
    search: Option<String>,
    /// Labels that are values of this feature.
    #[arg(long)]
    feature: Option<String>,
    /// At most so many. Default: all.
    #[arg(long)]
    limit: Option<u64>,
}

impl Labels {
    pub(super) async fn run(self, common: &Common) -> Result<()> {
        let texts = [("prefix", self.prefix), ("search", self.search), ("feature", self.feature)];
        let texts = texts.into_iter().filter_map(|(name, text)| Some((name.to_owned(), text?.into())));
        let labels = common.target().await?.pages("lookup", Map::from_iter(texts), self.limit).await?;
        if common.json {
            return print::json(&Value::Array(labels));
        }
        let header = ["LABEL", "ARTIFACTS", "FEATURES"].map(str::to_owned).to_vec();
        let rows: Vec<_> = std::iter::once(header).chain(labels.iter().map(row)).collect();
        print::line(&table::aligned(&rows))
    }
}

fn row(label: &Value) -> Vec<String> {
    let name = |of: &Value| of.get("name").and_then(Value::as_str).unwrap_or_default().to_owned();
    let count = |of: &Value| of.get("n_artifacts").and_then(Value::as_u64).unwrap_or_default();
    let features = label.get("features").and_then(Value::as_array).into_iter().flatten();
    let features: Vec<_> = features.map(|feature| format!("{} ({})", name(feature), count(feature))).collect();
    vec![name(label), count(label).to_string(), features.join(", ")]
}
