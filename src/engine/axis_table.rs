//! The table that describes an AnnData axis, for filters and names.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{DataType as ArrowType, FieldRef, Schema, SchemaRef};
use arrow::record_batch::{RecordBatch, RecordBatchOptions};
use async_trait::async_trait;
use futures::stream::{self, StreamExt, TryStreamExt};

use crate::error::{Error, Result, ResultExt};
use crate::format::Hierarchy;
use crate::format::anndata::frame::Frame;
use crate::model::selection::AxisSelection;
use crate::read::array::Caching;
use crate::read::chunk_cache::{fits, kept_column, name_of_column};
use crate::read::context::ReadContext;
use crate::read::frame::FrameAnswer;
use crate::read::windowed::{Window, Windowed};
use crate::select::axis::AxisTable;

/// Longest axis whose columns are read whole to evaluate a filter, in rows.
const MAX_ROWS: u64 = 200_000_000;

/// Columns that are read at the same time.
const COLUMNS_IN_FLIGHT: usize = 8;

/// Up to so many bytes a column shares blocks with its neighbours.
const SMALL_COLUMN_BYTES: u64 = 256 << 10;

/// A frame of an AnnData hierarchy as the table of an axis.
#[derive(Debug)]
pub(super) struct FrameTable {
    context: ReadContext,
    hierarchy: Hierarchy,
    frame: Frame,
    schema: SchemaRef,
}

impl FrameTable {
    /// The table of `frame`. Columns whose type is not served are left out of the schema: a filter
    /// that names one is refused as an unknown column.
    pub(super) fn new(context: ReadContext, hierarchy: Hierarchy, frame: Frame) -> Self {
        let fields: Vec<_> = frame
            .columns
            .iter()
            .filter_map(|(name, column)| {
                let reader = crate::read::frame::column_reader(hierarchy.tree(), name, column.clone());
                reader.ok().map(|reader| reader.field)
            })
            .collect();
        let schema = Arc::new(arrow::datatypes::Schema::new(fields));
        Self { context, hierarchy, frame, schema }
    }

    async fn read(&self, names: &[String]) -> Result<RecordBatch> {
        let rows = self.frame.rows;
        if rows > MAX_ROWS {
            return Err(Error::resource_exhausted(format!(
                "axis '{}' has {rows} rows, more than the {MAX_ROWS} that a filter may look at",
                self.frame.path
            )));
        }
        let reads: Vec<_> = names.iter().map(|name| self.column(name)).collect();
        let columns: Vec<(FieldRef, ArrayRef)> = stream::iter(reads).buffered(COLUMNS_IN_FLIGHT).try_collect().await?;
        let (fields, columns): (Vec<_>, Vec<_>) = columns.into_iter().unzip();
        let options = RecordBatchOptions::new().with_row_count(usize::try_from(rows).ok());
        RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), columns, &options)
            .map_err(|error| Error::internal("columns of an axis do not fit together").with_source(error))
    }

    /// A whole column; texts are kept, or come from whoever reads them already.
    async fn column(&self, name: &str) -> Result<(FieldRef, ArrayRef)> {
        let (rows, names) = (self.frame.rows, [name.to_owned()]);
        let all = AxisSelection::all(rows);
        let answer = FrameAnswer::new(self.hierarchy.clone(), &self.frame, &names, all.clone(), Caching::Keep)?;
        let bytes = answer.estimated_row_bytes().saturating_mul(rows);
        let (_, column) = self.frame.column(name)?;
        // Of other columns the decoded chunks are kept, which are as good, for other reads too.
        let kept =
            name_of_column(&self.hierarchy, column).filter(|_| answer.has_texts() && fits(&self.context.chunks, bytes));
        // Chunks of a kept column need not be kept too. Small ones are, as their neighbours come with them.
        let answer = if kept.is_some() && bytes > SMALL_COLUMN_BYTES {
            FrameAnswer::new(self.hierarchy.clone(), &self.frame, &names, all, Caching::Bypass)?
        } else {
            answer
        };
        let lost = || Error::internal("a frame of one column has none");
        let field = answer.schema().fields().first().map(Arc::clone).ok_or_else(lost)?;
        let read = async {
            let _permit = self.context.reserve(bytes).await?;
            let batch = answer.read(&self.context, Window { rows: 0..rows, bytes, spans: Vec::new() }).await?;
            batch.columns().first().map(Arc::clone).ok_or_else(lost)
        };
        Ok((field, kept_column(&self.context.chunks, kept, read).await?))
    }
}

#[async_trait]
impl AxisTable for FrameTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    async fn names(&self) -> Result<ArrayRef> {
        let index = self.frame.index.clone();
        let index = index.ok_or_else(|| Error::invalid(format!("axis '{}' has no names", self.frame.path)))?;
        let batch = self.read(&[index]).await.with_context(|| format!("names of '{}'", self.frame.path))?;
        text_of(batch.column(0))
    }

    async fn columns(&self, names: &[String]) -> Result<RecordBatch> {
        self.read(names).await.with_context(|| format!("columns of '{}'", self.frame.path))
    }
}

/// Names as texts: AnnData turns an index of numbers into texts as well.
fn text_of(names: &ArrayRef) -> Result<ArrayRef> {
    if names.data_type() == &ArrowType::Utf8 && names.as_string_opt::<i32>().is_some() {
        return Ok(Arc::clone(names));
    }
    arrow::compute::cast(names, &ArrowType::Utf8)
        .map_err(|error| Error::unimplemented(format!("names of type {}: {error}", names.data_type())))
}
