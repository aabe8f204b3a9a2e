//! Answers for awkward arrays: one row per element of the outermost array.
//!
//! A window's rows are measured by the offsets of their first lists before they are read; what lies
//! deeper is counted while it is read and bounded.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef};
use arrow::datatypes::{Field, Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use async_trait::async_trait;

use super::array::{ArrayPlan, Caching, plan_array, read_array};
use super::context::ReadContext;
use super::to_arrow::{arrow_error, to_arrow};
use super::windowed::{Window, Windowed};
use crate::error::{Error, Result, ResultExt};
use crate::format::Hierarchy;
use crate::format::anndata::awkward::Awkward;
use crate::model::selection::AxisSelection;

mod contents;
mod schema;
mod size;

use contents::Reading;

/// Rows that are measured together.
const BLOCK_ROWS: u64 = 64 * 1024;

/// A selection of the rows of an awkward array.
#[derive(Debug)]
pub struct AwkwardAnswer {
    hierarchy: Hierarchy,
    awkward: Awkward,
    rows: AxisSelection,
    schema: SchemaRef,
}

impl AwkwardAnswer {
    /// `rows` of `awkward` as a column `name`.
    ///
    /// # Errors
    /// `Unimplemented` naming a type or a form that Arrow has not, `OutOfRange` for the selection.
    pub fn new(hierarchy: Hierarchy, awkward: Awkward, name: &str, rows: AxisSelection) -> Result<Self> {
        rows.check(awkward.length)?;
        let field = schema::field(hierarchy.tree(), name, &awkward.form)
            .with_context(|| format!("awkward array '{}'", awkward.path))?;
        Ok(Self { hierarchy, awkward, rows, schema: Arc::new(Schema::new(vec![field])) })
    }

    fn reading<'a>(&'a self, context: &'a ReadContext) -> Reading<'a> {
        Reading::new(context, &self.hierarchy)
    }
}

#[async_trait]
impl Windowed for AwkwardAnswer {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn rows(&self) -> u64 {
        self.rows.len()
    }

    fn bytes(&self) -> Option<u64> {
        None
    }

    fn estimated_row_bytes(&self) -> u64 {
        let all = size::total_bytes(self.hierarchy.tree(), &self.awkward.form);
        (all / self.awkward.length.max(1)).max(1)
    }

    fn blocks(&self, rows: Range<u64>) -> Vec<Range<u64>> {
        let starts = (rows.start..rows.end).step_by(BLOCK_ROWS as usize);
        starts.map(|start| start..rows.end.min(start.saturating_add(BLOCK_ROWS))).collect()
    }

    async fn windows(&self, context: &ReadContext, block: Range<u64>) -> Result<Vec<Window>> {
        let rows = self.rows.part(block.start, block.end - block.start);
        let sizes = self.reading(context).row_bytes(&self.awkward.form, rows).await;
        let sizes = sizes.with_context(|| format!("awkward array '{}'", self.awkward.path))?;
        let mut windows: Vec<Window> = Vec::new();
        for (row, bytes) in (block.start..block.end).zip(sizes) {
            match windows.last_mut() {
                Some(window) if window.bytes.saturating_add(bytes) <= context.window_bytes => {
                    window.rows.end = row + 1;
                    window.bytes += bytes;
                }
                _ => windows.push(Window { rows: row..row + 1, bytes, spans: Vec::new() }),
            }
        }
        Ok(windows)
    }

    async fn read(&self, context: &ReadContext, window: Window) -> Result<RecordBatch> {
        let rows = self.rows.part(window.rows.start, window.rows.end - window.rows.start);
        let column = self.reading(context).read(&self.awkward.form, rows).await;
        let column = column.with_context(|| format!("awkward array '{}'", self.awkward.path))?;
        RecordBatch::try_new(self.schema(), vec![column]).map_err(arrow_error)
    }

    /// The reads of the outermost buffers; what lies deeper depends on what they hold.
    async fn plan(&self, context: &ReadContext, window: Window) -> Result<Vec<(String, ArrayPlan)>> {
        let rows = self.rows.part(window.rows.start, window.rows.end - window.rows.start);
        let mut plans = Vec::new();
        for (path, selection) in size::outermost(&self.awkward.form, &rows) {
            let plan = plan_array(context, &self.hierarchy, path, &[selection]).await?;
            plans.push((path.to_owned(), plan));
        }
        Ok(plans)
    }

    async fn foreseen(&self, context: &ReadContext, block: Range<u64>) -> Result<(Vec<Window>, bool)> {
        Ok((self.windows(context, block).await?, false))
    }
}

/// `data` with the field of a list's items.
fn item(data: &ArrayRef, nullable: bool) -> Arc<Field> {
    Arc::new(Field::new("item", data.data_type().clone(), nullable))
}

/// The elements of the buffer at `path` that `selection` names, as stored.
async fn buffer(
    context: &ReadContext,
    hierarchy: &Hierarchy,
    path: &str,
    selection: AxisSelection,
    caching: Caching,
) -> Result<ArrayRef> {
    let length = hierarchy.tree().array(path)?.shape.first().copied().unwrap_or(0);
    selection.check(length).map_err(|error| {
        Error::data_loss(format!("buffer '{path}' of {length} elements is too short: {}", error.message()))
    })?;
    let count = usize::try_from(selection.len()).map_err(|_| Error::resource_exhausted("too many rows in a window"))?;
    let values = read_array(context, hierarchy, path, &[selection], caching).await?;
    to_arrow(hierarchy, &values.data_type, values.values, count).await
}
