//! `inspect`: what an artifact or collection holds, as a person reads it.

use clap::Args;
use serde_json::Value;

use super::source::Named;
use super::{Common, print, tree};
use crate::error::Result;

/// Options of `inspect`.
#[derive(Debug, Args)]
pub(super) struct Inspect {
    #[command(flatten)]
    named: Named,
}

impl Inspect {
    pub(super) async fn run(self, common: &Common) -> Result<()> {
        let summary = common.target().await?.one("describe", &self.named.body()).await?;
        if common.json { print::json(&summary) } else { print::line(&text(&summary)) }
    }
}

/// The summary as text; as JSON when it is of a kind this command does not know.
pub(super) fn text(summary: &Value) -> String {
    let known = match summary.get("kind").and_then(Value::as_str) {
        Some("anndata") => anndata(summary),
        Some("table") => table(summary),
        Some("hdf5" | "zarr") => tree::lines(summary).map(|lines| {
            let views = views(summary).unwrap_or_default();
            views.into_iter().chain(lines).collect::<Vec<_>>().join("\n")
        }),
        _ => None,
    };
    known.unwrap_or_else(|| format!("{summary:#}"))
}

fn anndata(summary: &Value) -> Option<String> {
    let shape: Vec<u64> = summary.get("shape")?.as_array()?.iter().filter_map(Value::as_u64).collect();
    let [n_obs, n_vars] = shape[..] else { return None };
    let view = summary.get("view").and_then(Value::as_str);
    let object = if view == Some("mudata") { "MuData" } else { "AnnData" };
    let stored = view.filter(|view| *view != "mudata").map(|view| format!(" (stored as {view})")).unwrap_or_default();
    let mut lines = vec![format!("{object} object with n_obs × n_vars = {n_obs} × {n_vars}{stored}")];
    for (name, members) in summary.get("attributes")?.as_object()? {
        let Some(members) = members.as_array() else {
            lines.push(format!("    {name}: cannot be listed"));
            continue;
        };
        let members: Vec<_> = members.iter().filter_map(Value::as_str).map(|member| format!("'{member}'")).collect();
        lines.push(format!("    {name}: [{}]", members.join(", ")));
    }
    if let Some(matrix) = summary.get("X").filter(|matrix| matrix.is_object()) {
        let word = |name: &str| matrix.get(name).and_then(Value::as_str).unwrap_or("?");
        lines.push(format!("    X: {} {}", word("dtype"), word("encoding")));
    }
    lines.extend(views(summary).unwrap_or_default());
    lines.extend(tree::incomplete(summary));
    Some(lines.join("\n"))
}

/// The AnnData objects below the root, each with what it holds.
fn views(summary: &Value) -> Option<Vec<String>> {
    let views = summary.get("views")?.as_object()?;
    Some(views.iter().filter_map(|(path, view)| Some(format!("{path}: {}", anndata(view)?))).collect())
}

fn table(summary: &Value) -> Option<String> {
    let count = |name: &str| summary.get(name).and_then(Value::as_u64);
    let rows = count("n_rows").map_or("an unknown number of rows".into(), |rows| format!("{rows} rows"));
    let files = count("n_files").map(|files| format!(" in {files} {}", if files == 1 { "file" } else { "files" }));
    let mut lines = vec![format!("Table of {rows}{}", files.unwrap_or_default())];
    let field = |name: &str, data_type: &Value| {
        let data_type = data_type.as_str().map_or_else(|| data_type.to_string(), str::to_owned);
        format!("    {name}: {data_type}")
    };
    match summary.get("schema")? {
        Value::Object(fields) => lines.extend(fields.iter().map(|(name, data_type)| field(name, data_type))),
        Value::Array(fields) => {
            for entry in fields {
                lines.push(field(entry.get("name")?.as_str()?, entry.get("type")?));
            }
        }
        _ => return None,
    }
    Some(lines.join("\n"))
}
