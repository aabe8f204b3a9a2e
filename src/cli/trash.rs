//! `trash` and `restore`: hiding artifacts and showing them again; never data.

use clap::Args;
use serde_json::Value;

use super::source::Named;
use super::{Common, print};
use crate::error::Result;

/// Options of `trash` and `restore`.
#[derive(Debug, Args)]
pub(super) struct Trash {
    #[command(flatten)]
    named: Named,
}

impl Trash {
    pub(super) async fn trash(self, common: &Common) -> Result<()> {
        self.act(common, "trash", "trashed", "moved to the trash").await
    }

    pub(super) async fn restore(self, common: &Common) -> Result<()> {
        self.act(common, "restore", "restored", "restored").await
    }

    async fn act(self, common: &Common, action: &str, field: &str, done: &str) -> Result<()> {
        let answer = common.target().await?.one(action, &self.named.body()).await?;
        if common.json {
            return print::json(&answer);
        }
        let count = answer.get(field).and_then(Value::as_u64).unwrap_or(0);
        print::line(&format!("{count} {} {done}", if count == 1 { "record" } else { "records" }))
    }
}
