//! `ls`: artifacts and collections of the registry.

use clap::Args;
use serde_json::{Map, Value};

use super::filters::Filters;
use super::{Common, print, table};
use crate::error::Result;

/// Options of `ls`.
#[derive(Debug, Args)]
pub(super) struct List {
    /// Keys beginning with this.
    #[arg(value_name = "PREFIX")]
    prefix: Option<String>,
    #[command(flatten)]
    filters: Filters,
}

impl List {
    pub(super) async fn run(self, common: &Common) -> Result<()> {
        let mut criteria = self.filters.criteria()?;
        criteria.extend(self.prefix.map(|prefix| ("key_prefix".to_owned(), prefix.into())));
        show(common, criteria, self.filters.limit).await
    }
}

/// Prints what meets `criteria`, up to `limit`.
pub(super) async fn show(common: &Common, criteria: Map<String, Value>, limit: Option<u64>) -> Result<()> {
    let entries = common.target().await?.pages("search", criteria, limit).await?;
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
        let size = format!("{} artifacts", number("n_artifacts").unwrap_or_default());
        return vec![text("key"), "collection".into(), String::new(), String::new(), size, String::new(), text("uid")];
    }
    vec![
        text("key"),
        text("kind"),
        number("version").map(|version| version.to_string()).unwrap_or_default(),
        number("n_observations").map(|rows| rows.to_string()).unwrap_or_default(),
        number("size").map(print::size).unwrap_or_default(),
        labels(entry),
        text("uid"),
    ]
}

/// The labels of an artifact, with the features of which they are values: `blood, tissue=lung`.
pub(super) fn labels(artifact: &Value) -> String {
    let names = |value: &Value| -> Vec<String> {
        value.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
    };
    let mut shown = Vec::new();
    let mut of_features = Vec::new();
    for (feature, values) in artifact.get("features").and_then(Value::as_object).into_iter().flatten() {
        for name in names(values) {
            shown.push(format!("{feature}={name}"));
            of_features.push(name);
        }
    }
    let all = artifact.get("labels").map(names).unwrap_or_default();
    let plain = all.into_iter().filter(|name| !of_features.contains(name));
    plain.chain(shown.clone()).collect::<Vec<_>>().join(", ")
}
