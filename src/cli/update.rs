//! `update`: changes what is said of an artifact or a collection.

use clap::Args;

use super::source::Named;
use super::{Common, print};
use crate::error::Result;

/// Options of `update`.
#[derive(Debug, Args)]
pub(super) struct Update {
    #[command(flatten)]
    named: Named,
    /// The new description; an empty one removes it.
    #[arg(long, required = true)]
    description: String,
}

impl Update {
    pub(super) async fn run(self, common: &Common) -> Result<()> {
        let mut body = self.named.body();
        if let Some(fields) = body.as_object_mut() {
            let description = Some(self.description).filter(|text| !text.is_empty());
            fields.insert("description".into(), description.into());
        }
        let entry = common.target().await?.one("update", &body).await?;
        if common.json {
            return print::json(&entry);
        }
        let text = |name: &str| entry.get(name).and_then(|value| value.as_str()).unwrap_or("none").to_owned();
        print::line(&format!("{}: {}", text("key"), text("description")))
    }
}
