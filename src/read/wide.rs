//! Rows of values spread over columns (`layout: wide`): one column per name.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, UInt64Array};
use arrow::datatypes::{DataType as ArrowType, Schema, SchemaRef};
use arrow::record_batch::{RecordBatch, RecordBatchOptions};
use async_trait::async_trait;

use super::array::ArrayPlan;
use super::context::ReadContext;
use super::to_arrow::arrow_error;
use super::windowed::{Window, Windowed};
use crate::error::{Error, Result};

/// Most columns of a wide answer: each is a field of the schema, which is one message.
pub const MAX_COLUMNS: usize = 65_536;

/// An answer of equally long lists, one column per element.
#[derive(Debug)]
pub struct WideAnswer {
    rows: Arc<dyn Windowed>,
    schema: SchemaRef,
}

impl WideAnswer {
    /// The lists of `rows` as columns called `names`.
    ///
    /// # Errors
    /// `InvalidArgument` when rows are no lists, there are not as many names as elements, or a name
    /// comes twice; `ResourceExhausted` above [`MAX_COLUMNS`].
    pub fn new(rows: Arc<dyn Windowed>, names: &[String]) -> Result<Self> {
        let schema = rows.schema();
        let item = match schema.fields().iter().map(|field| field.data_type()).collect::<Vec<_>>().as_slice() {
            [ArrowType::FixedSizeList(item, size)] if *size as usize == names.len() => item.as_ref().clone(),
            [ArrowType::FixedSizeList(_, size)] => {
                return Err(Error::invalid(format!("layout 'wide' has {size} columns but {} names", names.len())));
            }
            _ => return Err(Error::invalid("layout 'wide' needs an array of two dimensions")),
        };
        if names.len() > MAX_COLUMNS {
            let found = names.len();
            return Err(Error::resource_exhausted(format!("{found} columns, layout 'wide' has at most {MAX_COLUMNS}")));
        }
        let mut seen = std::collections::HashSet::new();
        if let Some(twice) = names.iter().find(|name| !seen.insert(name.as_str())) {
            return Err(Error::invalid(format!("layout 'wide' would have the column '{twice}' twice")));
        }
        let fields: Vec<_> = names.iter().map(|name| item.clone().with_name(name)).collect();
        Ok(Self { rows, schema: Arc::new(Schema::new(fields)) })
    }
}

#[async_trait]
impl Windowed for WideAnswer {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn rows(&self) -> u64 {
        self.rows.rows()
    }

    fn total_rows(&self) -> Option<u64> {
        self.rows.total_rows()
    }

    fn is_divisible(&self) -> bool {
        self.rows.is_divisible()
    }

    fn bytes(&self) -> Option<u64> {
        self.rows.bytes()
    }

    fn estimated_row_bytes(&self) -> u64 {
        self.rows.estimated_row_bytes()
    }

    fn blocks(&self, rows: Range<u64>) -> Vec<Range<u64>> {
        self.rows.blocks(rows)
    }

    async fn windows(&self, context: &ReadContext, block: Range<u64>) -> Result<Vec<Window>> {
        self.rows.windows(context, block).await
    }

    async fn foreseen(&self, context: &ReadContext, block: Range<u64>) -> Result<(Vec<Window>, bool)> {
        self.rows.foreseen(context, block).await
    }

    async fn read(&self, context: &ReadContext, window: Window) -> Result<RecordBatch> {
        let batch = self.rows.read(context, window).await?;
        let count = batch.num_rows();
        let lists = Arc::clone(batch.column(0));
        let bytes = lists.get_array_memory_size() as u64;
        let columns = context.compute(bytes, move || columns_of(&lists)).await?;
        let options = RecordBatchOptions::new().with_row_count(Some(count));
        RecordBatch::try_new_with_options(self.schema(), columns, &options).map_err(arrow_error)
    }

    async fn plan(&self, context: &ReadContext, window: Window) -> Result<Vec<(String, ArrayPlan)>> {
        self.rows.plan(context, window).await
    }
}

/// The columns of an array of equally long lists.
fn columns_of(lists: &ArrayRef) -> Result<Vec<ArrayRef>> {
    let lists = lists.as_fixed_size_list_opt().ok_or_else(|| Error::internal("rows of a wide answer are no lists"))?;
    let width = lists.value_length() as u64;
    let rows = lists.len() as u64;
    (0..width)
        .map(|column| {
            let places = UInt64Array::from_iter_values((0..rows).map(|row| row * width + column));
            arrow::compute::take(lists.values(), &places, None).map_err(arrow_error)
        })
        .collect()
}
