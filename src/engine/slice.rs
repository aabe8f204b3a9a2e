//! A resolved request: ready to be explained, split and streamed.

use std::ops::Range;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use futures::stream::{self, StreamExt, TryStreamExt};
use serde_json::{Value, json};

use super::catalogue::Catalogue;
use super::hierarchy::ColumnSlice;
use super::{BatchStream, Contents};
use crate::error::Error;
use crate::model::artifact::{Artifact, Pin};
use crate::read::context::ReadContext;
use crate::read::windowed::{self, Windowed};
use crate::table::{ScanRequest, Table};

/// Endpoints of one answer at most: beyond, partitions grow.
const MAX_PARTITIONS: u64 = 4096;

/// A resolved request.
#[derive(Clone, Debug)]
pub struct Slice {
    pub(super) schema: SchemaRef,
    pub(super) sources: Vec<Artifact>,
    /// Key of the collection, when that was asked for.
    pub(super) collection: Option<String>,
    pub(super) node: String,
    pub(super) shape_before: Vec<Option<u64>>,
    pub(super) shape_after: Vec<Option<u64>>,
    pub(super) context: ReadContext,
    pub(super) answer: Answer,
    /// Where a column index serves it, or could.
    pub(super) columns: Option<Arc<ColumnSlice>>,
    /// Where the contents of its sources are remembered, for when they turn out to have changed.
    pub(super) contents: Option<Arc<Contents>>,
}

/// Where the rows come from.
#[derive(Clone, Debug)]
pub(super) enum Answer {
    /// Our own reading of HDF5 and zarr.
    Windowed(Arc<dyn Windowed>),
    /// A scan of parquet files; the rows where they are known without reading.
    Table { table: Arc<Table>, scan: ScanRequest, rows: Option<u64>, bytes: Option<u64> },
    /// What is registered.
    Registry(Arc<Catalogue>),
}

impl Slice {
    /// Schema of the answer, with its metadata.
    pub fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    /// Rows of the whole answer, when known without reading data.
    pub fn total_rows(&self) -> Option<u64> {
        match &self.answer {
            Answer::Windowed(answer) => answer.total_rows(),
            Answer::Table { rows, .. } => *rows,
            Answer::Registry(_) => None,
        }
    }

    /// Bytes of the whole answer in Arrow buffers, when known without reading data.
    pub fn total_bytes(&self) -> Option<u64> {
        match &self.answer {
            Answer::Windowed(answer) => answer.bytes(),
            Answer::Table { .. } | Answer::Registry(_) => None,
        }
    }

    /// The artifacts it reads, as they are now.
    pub fn pins(&self) -> Vec<Pin> {
        let pin = |artifact: &Artifact| Pin { uid: artifact.uid.clone(), etag: artifact.etag.clone() };
        self.sources.iter().map(pin).collect()
    }

    /// JSON for `app_metadata`: artifact or collection, node, shape before and after (null where a
    /// length is known only after reading). `estimate` is [`Slice::estimate`]'s.
    pub fn summary(&self, estimate: &Value) -> Value {
        let artifact = match (&self.collection, self.sources.first()) {
            _ if matches!(self.answer, Answer::Registry(_)) => json!({ "registry": self.node }),
            (Some(key), _) => json!({ "collection": key, "members": self.sources.len() }),
            (None, Some(artifact)) => json!({
                "uid": artifact.uid, "key": artifact.key, "version": artifact.version,
                "kind": artifact.kind, "url": artifact.url, "etag": artifact.etag,
            }),
            (None, None) => Value::Null,
        };
        json!({
            "artifact": artifact,
            "node": self.node,
            "shape_before": self.shape_before,
            "shape_after": self.shape_after,
            "estimate": estimate,
        })
    }

    /// Splits the answer into row ranges of about `target_bytes` each; one range `0..rows` when it is
    /// small, none when the rows are not known beforehand (then it is served as one stream).
    pub fn partitions(&self, target_bytes: u64) -> Vec<Range<u64>> {
        let row_bytes = match &self.answer {
            // Every part would read all of the data.
            Answer::Windowed(answer) if !answer.is_divisible() => {
                return self.total_rows().map(|rows| Range { start: 0, end: rows }).into_iter().collect();
            }
            Answer::Windowed(answer) => answer.estimated_row_bytes(),
            Answer::Table { rows, bytes, .. } => match (rows, bytes) {
                (Some(rows), Some(bytes)) => bytes / (*rows).max(1),
                _ => return Vec::new(),
            },
            Answer::Registry(_) => return Vec::new(),
        };
        let Some(rows) = self.total_rows() else { return Vec::new() };
        let per_part = (target_bytes / row_bytes.max(1)).max(1).max(rows.div_ceil(MAX_PARTITIONS));
        if rows <= per_part {
            return vec![Range { start: 0, end: rows }];
        }
        (0..rows.div_ceil(per_part))
            .map(|part| part * per_part..(part + 1).saturating_mul(per_part).min(rows))
            .collect()
    }

    /// Streams the answer, or the given output rows of it. Every batch has exactly [`Slice::schema`].
    /// Batches may be larger than a message: the transport splits them.
    pub fn stream(&self, rows: Option<Range<u64>>) -> BatchStream {
        let schema = self.schema();
        let batches = match &self.answer {
            Answer::Windowed(answer) => {
                let total = answer.rows();
                if rows.is_some() && answer.total_rows().is_none() {
                    let message = "the rows of this answer are known only after reading, it is served as one stream";
                    return failed(Error::invalid(format!("{message}, not by rows {rows:?}")));
                }
                let rows = rows.unwrap_or(0..total);
                // Several endpoints of one answer count once.
                if let Some(columns) = self.columns.as_ref().filter(|_| rows.start == 0) {
                    columns.asked();
                }
                if rows.start > rows.end || rows.end > total {
                    return failed(Error::out_of_range(format!("rows {rows:?} of an answer of {total} rows")));
                }
                windowed::stream(&self.context, Arc::clone(answer), rows)
            }
            Answer::Table { table, scan, .. } => {
                let mut scan = scan.clone();
                if rows.is_some() {
                    scan.rows = rows;
                }
                scanned(table, scan)
            }
            Answer::Registry(_) if rows.is_some() => {
                return failed(Error::invalid(format!("the registry is served as one stream, not by rows {rows:?}")));
            }
            Answer::Registry(catalogue) => catalogue.stream(),
        };
        let (contents, sources) = (self.contents.clone(), self.sources.clone());
        batches
            .inspect_err(move |error| {
                if let Some(contents) = &contents {
                    contents.forget_when_changed(&sources, error);
                }
            })
            .map(move |batch| {
                let batch = batch?;
                let (columns, rows) = (batch.columns().to_vec(), batch.num_rows());
                let options = arrow::record_batch::RecordBatchOptions::new().with_row_count(Some(rows));
                arrow::record_batch::RecordBatch::try_new_with_options(Arc::clone(&schema), columns, &options)
                    .map_err(|error| Error::internal("a batch differs from its schema").with_source(error))
            })
            .boxed()
    }
}

/// The batches of a scan that opens when the stream is first asked.
fn scanned(table: &Arc<Table>, scan: ScanRequest) -> BatchStream {
    let table = Arc::clone(table);
    let opened = async move {
        match table.scan(scan).await {
            Ok(batches) => batches,
            Err(error) => failed(error),
        }
    };
    stream::once(opened).flatten().boxed()
}

fn failed(error: Error) -> BatchStream {
    stream::once(async move { Err(error) }).boxed()
}
