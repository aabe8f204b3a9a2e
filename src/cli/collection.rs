//! `collection create`: an ordered set of artifacts.

use clap::Subcommand;
use serde_json::json;

use super::{Common, print};
use crate::error::Result;

/// Commands on collections.
#[derive(Debug, Subcommand)]
pub(super) enum Collection {
    /// Create a collection, or a new version of it.
    Create {
        /// Key of the collection.
        key: String,
        /// Keys or uids of its artifacts, in order.
        #[arg(required = true, value_name = "ARTIFACT")]
        artifacts: Vec<String>,
        /// Free text.
        #[arg(long)]
        description: Option<String>,
    },
}

impl Collection {
    pub(super) async fn run(self, common: &Common) -> Result<()> {
        let Self::Create { key, artifacts, description } = self;
        let body = json!({"key": key, "artifacts": artifacts, "description": description});
        let collection = common.target().await?.one("create_collection", &body).await?;
        if common.json {
            return print::json(&collection);
        }
        print::line(&format!("{key} of {} artifacts", artifacts.len()))
    }
}
