//! `search`: words in keys, descriptions and labels.

use clap::Args;

use super::filters::Filters;
use super::{Common, list};
use crate::error::Result;

/// Options of `search`.
#[derive(Debug, Args)]
pub(super) struct Search {
    /// Words that must all begin a word of key, description or labels.
    #[arg(required = true)]
    words: Vec<String>,
    #[command(flatten)]
    filters: Filters,
}

impl Search {
    pub(super) async fn run(self, common: &Common) -> Result<()> {
        let mut criteria = self.filters.criteria()?;
        criteria.insert("search".into(), self.words.join(" ").into());
        list::show(common, criteria, self.filters.limit).await
    }
}
