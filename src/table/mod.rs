//! Parquet files and folders as one table, through DataFusion with explicit, pinned file lists.
//!
//! Sits between the registry, which says which files make up a table and in which order, and the
//! engine, which streams its batches. The first file's schema, with all its metadata, is the table's
//! schema. Rows come in file order and row order, always. Never lists or asks a store for an object's
//! size: both are known. Stores handed in already pin the ETag, meter and retry.
//!
//! ```text
//! files ──open──▶ Table ──ScanRequest──▶ plan ─▶ per file: footer ▶ shares ─▶ each: DataFusion scan ▶ filter ─▶ batches in order
//! ```
//!
//! A later file may have columns that the first lacks: they are not read, as in pyarrow. A later file
//! that lacks a column of the first, or has it with another type, is refused.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use datafusion::execution::TaskContext;
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use futures::{StreamExt, TryStreamExt};
use object_store::ObjectStore;
use object_store::memory::InMemory;
use object_store::path::Path;

use crate::error::{Error, Result};

mod driver;
mod errors;
mod explain;
mod file_scan;
mod files;
mod footer;
mod footer_guard;
mod hive;
mod page_index;
mod plan;
mod pruning;
mod queue;
mod reader;
mod schema;
mod share;

pub use explain::ScanEstimate;
pub use plan::ScanRequest;

use footer::Footers;
use hive::Partitions;

/// One parquet file of a table.
#[derive(Clone, Debug)]
pub struct TableFile {
    /// URL without secrets, for messages.
    pub url: String,
    /// The store it is read from; pins the version and meters.
    pub store: Arc<dyn ObjectStore>,
    /// Where it is in the store.
    pub path: Path,
    /// Size in bytes.
    pub size: u64,
    /// ETag as the store gave it.
    pub etag: String,
    /// Number of rows, where it is known for this version: saves reading the footer to count them.
    pub rows: Option<u64>,
    /// Names and values of its `name=value` folders, as they stand in the path, outermost first.
    pub hive: Vec<(String, String)>,
}

/// The files of a table, in the order of their rows.
#[derive(Clone, Debug, Default)]
pub struct TableSource {
    /// At least one file.
    pub files: Vec<TableFile>,
}

/// Bounds of reading a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TableOptions {
    /// Most rows of a batch unless the request says so, or they all have one known width.
    pub batch_rows: usize,
    /// Bytes of a batch whose rows all have one known width, where that is more rows than `batch_rows`.
    pub batch_bytes: usize,
    /// Bytes that the row groups read ahead hold together, compressed and decoded. A row group and the next are
    /// read whatever they take.
    pub ahead_bytes: usize,
    /// Footers read at the same time.
    pub concurrent_footers: usize,
    /// Whether opening reads the footers of the other files beside the first's, as their rows will be counted.
    pub counts_rows: bool,
    /// Bytes of parsed footers that a table keeps; footers beyond are read again when needed.
    pub kept_footer_bytes: usize,
    /// Bytes that DataFusion's operators may hold.
    pub memory_bytes: usize,
}

impl Default for TableOptions {
    fn default() -> Self {
        Self {
            batch_rows: 8192,
            batch_bytes: 512 * 1024,
            ahead_bytes: 32 * 1024 * 1024,
            concurrent_footers: 32,
            counts_rows: false,
            kept_footer_bytes: 64 * 1024 * 1024,
            memory_bytes: 512 * 1024 * 1024,
        }
    }
}

/// An opened table; cheap to clone.
#[derive(Clone, Debug)]
pub struct Table {
    inner: Arc<Inner>,
}

/// What a table's scans share.
#[derive(Debug)]
struct Inner {
    files: Vec<Arc<TableFile>>,
    options: TableOptions,
    schema: SchemaRef,
    partitions: Partitions,
    footers: Footers,
    context: Arc<TaskContext>,
}

/// Opens the table of `source`: reads the first file's footer.
///
/// # Errors
/// `InvalidArgument` without files or for a malformed partition folder, `NotFound` and
/// `FailedPrecondition` when the file is gone or changed, `DataLoss` when it is no parquet file,
/// `Unavailable` when the store fails.
pub async fn open(source: TableSource, options: TableOptions) -> Result<Table> {
    let files: Vec<Arc<TableFile>> = source.files.into_iter().map(Arc::new).collect();
    let Some(first) = files.first().map(Arc::clone) else {
        return Err(Error::invalid("a table has at least one file, found none"));
    };
    let partitions = Partitions::infer(&files)?;
    let footers = Footers::new(files.clone(), options.kept_footer_bytes);
    // What is wrong with another file is said when its rows are asked for.
    let others = if options.counts_rows { files.len() } else { 1 };
    let others = futures::stream::iter(1..others)
        .map(|index| footers.rows(index))
        .buffered(options.concurrent_footers.max(1))
        .take_while(|rows| std::future::ready(rows.is_ok()))
        .for_each(|_| std::future::ready(()));
    let (footer, ()) = futures::join!(footers.get(0), others);
    let footer = footer?;
    let schema = Arc::new(schema::of_footer(&footer, &first.url)?);
    let context = task_context(&options)?;
    Ok(Table { inner: Arc::new(Inner { files, options, schema, partitions, footers, context }) })
}

impl Table {
    /// Columns of the files, without partition columns, with all schema metadata of the first file.
    pub fn schema(&self) -> &SchemaRef {
        &self.inner.schema
    }

    /// Number of rows, from the footers of all files.
    ///
    /// # Errors
    /// As [`open`], for any of the files.
    pub async fn count_rows(&self) -> Result<u64> {
        let counts = self.row_counts().await?;
        counts
            .iter()
            .try_fold(0_u64, |sum, rows| sum.checked_add(*rows))
            .ok_or_else(|| Error::data_loss("the files state more rows than there are numbers"))
    }

    /// Number of rows of each file, from the footers of those where it is not known yet.
    ///
    /// # Errors
    /// As [`open`], for any of the files.
    pub async fn row_counts(&self) -> Result<Vec<u64>> {
        let footers = &self.inner.footers;
        futures::stream::iter(0..self.inner.files.len())
            .map(|index| footers.rows(index))
            .buffered(self.inner.options.concurrent_footers.max(1))
            .try_collect()
            .await
    }

    /// Number of files.
    pub fn file_count(&self) -> usize {
        self.inner.files.len()
    }
}

/// The store name under which DataFusion would look for files; nothing is there, the reader brings its
/// own.
const NO_STORE: &str = "pinned://files/";

fn no_store() -> Result<ObjectStoreUrl> {
    ObjectStoreUrl::parse(NO_STORE).map_err(|error| Error::internal("naming the scan's store").with_source(error))
}

fn task_context(options: &TableOptions) -> Result<Arc<TaskContext>> {
    let runtime = RuntimeEnvBuilder::new()
        .with_memory_limit(options.memory_bytes, 1.0)
        .build_arc()
        .map_err(|error| Error::internal("setting up DataFusion").with_source(error))?;
    runtime.register_object_store(no_store()?.as_ref(), Arc::new(InMemory::new()));
    Ok(Arc::new(TaskContext::default().with_runtime(runtime)))
}

#[cfg(test)]
mod tests;
