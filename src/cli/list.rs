//! `ls`: artifacts and collections of the registry.

use clap::Args;
use serde_json::{Map, Value};

use super::{Common, print, table};
use crate::error::Result;

/// Options of `ls`.
#[derive(Debug, Args)]
pub(super) struct List {
    /// Keys beginning with this.
    #[arg(value_name = "PREFIX")]
    prefix: Option<String>,
    /// Artifacts with this label.
    #[arg(long, value_name = "NAME")]
    label: Option<String>,
    /// Artifacts with this suffix (`.h5ad`).
    #[arg(long)]
    suffix: Option<String>,
    /// At most so many.
    #[arg(long)]
    limit: Option<u64>,
}

impl List {
    pub(super) async fn run(self, common: &Common) -> Result<()> {
        let mut criteria = Map::new();
        let texts = [("key_prefix", self.prefix), ("label", self.label), ("suffix", self.suffix)];
        criteria.extend(texts.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?.into()))));
        criteria.extend(self.limit.map(|limit| ("limit".to_owned(), limit.into())));
        show(common, criteria).await
    }
}

/// Prints what meets `criteria`.
pub(super) async fn show(common: &Common, criteria: Map<String, Value>) -> Result<()> {
    let entries = common.target().await?.action("search", &Value::Object(criteria)).await?;
    if common.json {
        return print::json(&Value::Array(entries));
    }
    let header = ["KEY", "KIND", "VERSION", "ROWS", "SIZE", "LABELS", "UID"].map(str::to_owned).to_vec();
    let rows: Vec<_> = std::iter::once(header).chain(entries.iter().map(row)).collect();
    print::line(&table::aligned(&rows))
}

fn row(entry: &Value) -> Vec<String> {
    let text = |name: &str| entry.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let number = |name: &str| entry.get(name).and_then(Value::as_u64);
    if entry.get("type").and_then(Value::as_str) == Some("collection") {
        let members = entry.get("artifacts").and_then(Value::as_array).map_or(0, Vec::len);
        let size = format!("{members} artifacts");
        return vec![text("key"), "collection".into(), String::new(), String::new(), size, String::new(), text("uid")];
    }
    let labels: Vec<_> =
        entry.get("labels").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
    vec![
        text("key"),
        text("kind"),
        number("version").map(|version| version.to_string()).unwrap_or_default(),
        number("n_observations").map(|rows| rows.to_string()).unwrap_or_default(),
        number("size").map(print::size).unwrap_or_default(),
        labels.join(", "),
        text("uid"),
    ]
}
