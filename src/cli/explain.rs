//! `explain`: which ranges of which objects a slice would read.

use clap::Args;

use super::slice_options::SliceOptions;
use super::{Common, print};
use crate::error::Result;

/// Options of `explain`.
#[derive(Debug, Args)]
pub(super) struct Explain {
    #[command(flatten)]
    slice: SliceOptions,
}

impl Explain {
    pub(super) async fn run(self, common: &Common) -> Result<()> {
        let request = self.slice.request()?;
        print::json(&common.target().await?.explain(&request).await?)
    }
}
