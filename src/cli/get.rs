//! `get`: a slice as a file, as an Arrow stream on stdout, or as a table of its first rows.

use std::path::PathBuf;

use arrow::datatypes::SchemaRef;
use clap::Args;
use futures::StreamExt;

use super::output::Output;
use super::slice_options::SliceOptions;
use super::{Common, print, progress, table};
use crate::engine::BatchStream;
use crate::error::Result;

/// Rows of the table that is shown without `-o`.
const SHOWN_ROWS: usize = 20;

/// Options of `get`.
#[derive(Debug, Args)]
pub(super) struct Get {
    #[command(flatten)]
    slice: SliceOptions,
    /// File to write: .arrow, .parquet or .csv; - for an Arrow IPC stream on stdout. Default: show
    /// the first rows.
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

impl Get {
    /// The request that the options say.
    #[cfg(test)]
    pub(super) fn request(&self) -> Result<crate::model::request::SliceRequest> {
        self.slice.request()
    }

    pub(super) async fn run(self, common: &Common) -> Result<()> {
        let request = self.slice.request()?;
        // A suffix that cannot be written is told before anything is read.
        let form = self.output.as_deref().map(Output::form).transpose()?;
        let (schema, batches) = common.target().await?.get(&request).await?;
        match (self.output, form) {
            (Some(path), Some(form)) => write(Output::create(&path, form, &schema)?, batches).await,
            _ => show(&schema, batches).await,
        }
    }
}

async fn write(mut output: Output, mut batches: BatchStream) -> Result<()> {
    let progress = progress::counter();
    while let Some(batch) = batches.next().await {
        let batch = batch?;
        output.write(&batch)?;
        progress.inc(batch.num_rows() as u64);
    }
    progress.finish_and_clear();
    output.finish()
}

async fn show(schema: &SchemaRef, mut batches: BatchStream) -> Result<()> {
    let (mut shown, mut rows, mut more) = (Vec::new(), 0, false);
    while let Some(batch) = batches.next().await {
        let batch = batch?;
        let left = SHOWN_ROWS - rows;
        more = batch.num_rows() > left;
        let taken = batch.num_rows().min(left);
        shown.push(batch.slice(0, taken));
        rows += taken;
        if more {
            break;
        }
    }
    print::line(&table::preview(schema, &shown)?)?;
    print::line(&if more { format!("first {rows} rows") } else { format!("{rows} rows") })
}
