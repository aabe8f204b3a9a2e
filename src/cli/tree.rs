//! `tree`: all nodes of a hierarchy, or all files of a folder.

use clap::Args;
use serde_json::Value;

use super::source::Named;
use super::{Common, print, table};
use crate::error::Result;

/// Options of `tree`.
#[derive(Debug, Args)]
pub(super) struct Tree {
    #[command(flatten)]
    named: Named,
}

impl Tree {
    pub(super) async fn run(self, common: &Common) -> Result<()> {
        let tree = common.target().await?.one("tree", &self.named.body()).await?;
        match lines(&tree) {
            Some(lines) if !common.json => print::line(&lines.join("\n")),
            _ => print::json(&tree),
        }
    }
}

/// One line per node or file; none when the JSON has neither.
pub(super) fn lines(tree: &Value) -> Option<Vec<String>> {
    let members = tree.get("nodes").or_else(|| tree.get("files")).and_then(Value::as_array)?;
    let rows = members.iter().map(row).collect::<Option<Vec<_>>>()?;
    Some(table::aligned(&rows).lines().map(str::to_owned).chain(incomplete(tree)).collect())
}

/// Why a listing does not have everything, where it does not.
pub(super) fn incomplete(listing: &Value) -> Option<String> {
    Some(format!("incomplete: {}", listing.get("incomplete")?.as_str()?))
}

fn row(member: &Value) -> Option<Vec<String>> {
    if let Some(path) = member.as_str() {
        return Some(vec![path.to_owned()]);
    }
    let path = member.get("path")?.as_str()?;
    let text = |name: &str| member.get(name).and_then(Value::as_str).map(str::to_owned);
    let shape = member.get("shape").and_then(Value::as_array).map(|shape| {
        let lengths: Vec<_> = shape.iter().map(ToString::to_string).collect();
        format!("({})", lengths.join(", "))
    });
    let size = member.get("size").and_then(Value::as_u64).map(print::size);
    let details = [text("kind").or_else(|| text("type")), shape, text("dtype"), size, text("reason")];
    Some(std::iter::once(format!("/{}", path.trim_start_matches('/'))).chain(details.into_iter().flatten()).collect())
}
