//! `index`: builds the column index of a sparse matrix, so that a few genes of all cells are read at once.

use std::time::Duration;

use clap::Args;
use serde_json::{Value, json};

use super::source::Named;
use super::target::Target;
use super::{Common, print, progress};
use crate::error::{Error, Result};

/// How often progress is asked for.
const EVERY: Duration = Duration::from_secs(1);

/// Options of `index`.
#[derive(Debug, Args)]
pub(super) struct Index {
    #[command(flatten)]
    named: Named,
    /// The sparse matrix.
    #[arg(value_name = "NODE", default_value = "X")]
    node: String,
    /// Begin, and do not wait until the index is there (with --server).
    #[arg(long)]
    no_wait: bool,
}

impl Index {
    pub(super) async fn run(self, common: &Common) -> Result<()> {
        let target = common.target().await?;
        if self.no_wait && matches!(target, Target::Local(_)) {
            return Err(Error::invalid("--no-wait goes with --server: without one the index is built by this command"));
        }
        let mut body = self.named.body();
        if let Value::Object(fields) = &mut body {
            fields.insert("node".into(), json!(self.node));
            fields.insert("wait".into(), json!(!self.no_wait));
        }
        let built = build(&target, &body).await?;
        if common.json {
            return print::json(&built);
        }
        print::line(&text(&built))
    }
}

/// Does the action, and shows how far it is.
async fn build(target: &Target, body: &Value) -> Result<Value> {
    let bar = progress::bar(100);
    let mut asked = body.clone();
    if let Value::Object(fields) = &mut asked {
        fields.insert("wait".into(), json!(false));
    }
    let build = target.one("build_index", body);
    tokio::pin!(build);
    loop {
        tokio::select! {
            built = &mut build => {
                bar.finish_and_clear();
                return built;
            }
            () = tokio::time::sleep(EVERY) => {
                let state = target.one("build_index", &asked).await.unwrap_or_default();
                bar.set_position((state.get("progress").and_then(Value::as_f64).unwrap_or(0.0) * 100.0) as u64);
            }
        }
    }
}

/// `key X: ready, 109000000 entries, 351 MB`.
pub(super) fn text(built: &Value) -> String {
    let word = |name: &str| built.get(name).and_then(Value::as_str).unwrap_or("?");
    let number = |name: &str| built.get(name).and_then(Value::as_u64);
    let mut text = format!("{} {}: {}", word("artifact"), word("node"), word("state"));
    if let (Some(entries), Some(bytes)) = (number("entries"), number("bytes")) {
        text.push_str(&format!(", {entries} entries, {}", print::size(bytes)));
    }
    text
}
