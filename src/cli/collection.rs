//! `collection`: ordered sets of artifacts.

use clap::Subcommand;
use serde_json::{Value, json};

use super::{Common, print};
use crate::error::Result;

/// Commands on collections.
#[derive(Debug, Subcommand)]
pub(super) enum Collection {
    /// Create a collection.
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
    /// Add artifacts at the end of a collection.
    Add {
        /// Key or uid of the collection.
        collection: String,
        /// Keys or uids of the artifacts, in order.
        #[arg(required = true, value_name = "ARTIFACT")]
        artifacts: Vec<String>,
    },
    /// Take artifacts out of a collection; they stay registered.
    Remove {
        /// Key or uid of the collection.
        collection: String,
        /// Keys or uids of the artifacts.
        #[arg(required = true, value_name = "ARTIFACT")]
        artifacts: Vec<String>,
    },
    /// Remove a collection; its artifacts stay.
    Delete {
        /// Key or uid of the collection.
        collection: String,
    },
}

impl Collection {
    pub(super) async fn run(self, common: &Common) -> Result<()> {
        let (action, body) = match &self {
            Self::Create { key, artifacts, description } => {
                ("create_collection", json!({"key": key, "artifacts": artifacts, "description": description}))
            }
            Self::Add { collection, artifacts } => {
                ("change_collection", json!({"collection": collection, "add": artifacts}))
            }
            Self::Remove { collection, artifacts } => {
                ("change_collection", json!({"collection": collection, "remove": artifacts}))
            }
            Self::Delete { collection } => ("remove", json!({"collection": collection})),
        };
        let answer = common.target().await?.one(action, &body).await?;
        if common.json {
            return print::json(&answer);
        }
        if let Self::Delete { collection } = &self {
            return print::line(&format!("removed {collection}"));
        }
        let key = answer.get("key").and_then(Value::as_str).unwrap_or("?");
        let count = answer.get("n_artifacts").and_then(Value::as_u64).unwrap_or(0);
        print::line(&format!("{key} of {count} artifacts"))
    }
}
