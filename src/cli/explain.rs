//! `explain`: which ranges of which objects a slice would read.

use clap::Args;
use serde_json::Value;

use super::slice_options::SliceOptions;
use super::{Common, print, table};
use crate::error::Result;

/// Options of `explain`.
#[derive(Debug, Args)]
pub(super) struct Explain {
    #[command(flatten)]
    slice: SliceOptions,
}

impl Explain {
    pub(super) async fn run(self, common: &Common) -> Result<()> {
        let request = self.slice.request()?;
        let plan = common.target().await?.explain(&request).await?;
        if common.json { print::json(&plan) } else { print::line(&text(&plan)) }
    }
}

/// The totals in one line, then the ranges of arrays or the files of a table.
pub(super) fn text(plan: &Value) -> String {
    let field = |name: &str| plan.get(name).unwrap_or(&Value::Null);
    let artifact = field("artifact");
    let key = ["key", "collection"].iter().find_map(|name| artifact.get(*name)?.as_str()).unwrap_or("?");
    let node = field("node").as_str().unwrap_or("");
    let shapes = format!("{} of {}", lengths(field("shape_after")), lengths(field("shape_before")));
    let mut rows = Vec::new();
    let reads = if let Value::Array(files) = field("files") {
        rows.push(["ROW GROUPS", "BYTES AT MOST", "FILE"].map(str::to_owned).to_vec());
        rows.extend(files.iter().map(|file| cells(file, &["row_groups", "bytes_at_most", "object"])));
        format!("at most {} bytes of {} files", field("bytes_at_most"), files.len())
    } else {
        rows.push(["OFFSET", "LENGTH", "CHUNKS", "ARRAY", "OBJECT"].map(str::to_owned).to_vec());
        let ranges = field("ranges").as_array().map(Vec::as_slice).unwrap_or_default();
        rows.extend(ranges.iter().map(|range| cells(range, &["offset", "length", "chunks", "array", "object"])));
        let bytes = field("bytes").as_u64().map_or("unknown bytes".to_owned(), |bytes| format!("{bytes} bytes"));
        format!("{} requests, {bytes}", field("requests"))
    };
    let space = if node.is_empty() { "" } else { " " };
    let mut text = format!("{key}{space}{node} ({shapes}): {reads}");
    if rows.len() > 1 {
        text.push('\n');
        text.push_str(&table::aligned(&rows));
    }
    text
}

/// `35 × 765`; a length that is not known beforehand is `?`.
fn lengths(shape: &Value) -> String {
    let lengths = shape.as_array().map(Vec::as_slice).unwrap_or_default();
    let length = |length: &Value| length.as_u64().map_or("?".to_owned(), |length| length.to_string());
    lengths.iter().map(length).collect::<Vec<_>>().join(" × ")
}

fn cells(row: &Value, names: &[&str]) -> Vec<String> {
    let cell = |name: &&str| match row.get(*name) {
        Some(Value::String(text)) => text.clone(),
        None | Some(Value::Null) => String::new(),
        Some(number) => number.to_string(),
    };
    names.iter().map(cell).collect()
}
