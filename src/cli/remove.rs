//! `rm`: removes the record of an artifact or collection; never data.

use clap::Args;

use super::source::Named;
use super::{Common, print};
use crate::error::Result;

/// Options of `rm`.
#[derive(Debug, Args)]
pub(super) struct Remove {
    #[command(flatten)]
    named: Named,
}

impl Remove {
    pub(super) async fn run(self, common: &Common) -> Result<()> {
        let removed = common.target().await?.one("remove", &self.named.body()).await?;
        if common.json {
            return print::json(&removed);
        }
        let count = removed.get("removed").and_then(serde_json::Value::as_u64).unwrap_or(0);
        print::line(&format!("removed {count} {}", if count == 1 { "record" } else { "records" }))
    }
}
