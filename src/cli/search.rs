//! `search`: words in keys, descriptions and labels.

use clap::Args;
use serde_json::Map;

use super::{Common, list};
use crate::error::Result;

/// Options of `search`.
#[derive(Debug, Args)]
pub(super) struct Search {
    /// Words that must all occur.
    #[arg(required = true)]
    words: Vec<String>,
    /// At most so many.
    #[arg(long)]
    limit: Option<u64>,
}

impl Search {
    pub(super) async fn run(self, common: &Common) -> Result<()> {
        let mut criteria = Map::new();
        criteria.insert("search".into(), self.words.join(" ").into());
        criteria.extend(self.limit.map(|limit| ("limit".to_owned(), limit.into())));
        list::show(common, criteria).await
    }
}
