//! The rows of a member's matrix with the united columns: entries at their places, gaps filled, values
//! of the united type.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, UInt32Array};
use arrow::buffer::OffsetBuffer;
use arrow::compute::cast;
use arrow::datatypes::{DataType as ArrowType, Field, Schema, SchemaRef, UInt32Type};
use arrow::record_batch::{RecordBatch, RecordBatchOptions};
use async_trait::async_trait;

pub use super::spread::Gap;
use super::{columns, spread};
use crate::error::{Error, Result};
use crate::read::array::ArrayPlan;
use crate::read::column::tensor_field;
use crate::read::context::ReadContext;
use crate::read::sparse::entries_field;
use crate::read::to_arrow::{arrow_error, fixed_size_list};
use crate::read::windowed::{Window, Windowed};

/// Rows of the united matrix.
#[derive(Clone, Debug)]
pub struct Rows {
    /// The value column: lists of entries, or of all values.
    pub field: Field,
    /// Type of the values.
    pub value_type: ArrowType,
    /// Values of one row.
    pub width: u64,
    /// What stands where a member has no column; lists of entries have nothing there.
    pub gap: Gap,
}

impl Rows {
    /// Rows of entries, of a matrix whose answer has `shape`.
    pub fn entries(name: &str, index_type: &ArrowType, value_type: ArrowType, shape: [u64; 2]) -> Self {
        let field = entries_field(name, index_type, &value_type, 0, shape);
        Self { field, value_type, width: shape[1], gap: Gap::Zero }
    }

    /// Rows of all values, of shape `lengths`.
    ///
    /// # Errors
    /// `Unimplemented` for rows of more than 2^31 values.
    pub fn values(name: &str, value_type: ArrowType, lengths: &[u64], gap: Gap) -> Result<Self> {
        let field = tensor_field(name, value_type.clone(), lengths)?;
        let width = lengths.iter().fold(1_u64, |total, length| total.saturating_mul(*length));
        Ok(Self { field, value_type, width, gap })
    }

    /// Bytes of one row of all values; none for entries.
    pub(super) fn row_bytes(&self) -> Option<u64> {
        let width = self.value_type.primitive_width().unwrap_or(1) as u64;
        self.index_type().is_none().then(|| self.width.saturating_mul(width))
    }

    /// Whether rows are entries, and not all values.
    pub fn are_entries(&self) -> bool {
        self.index_type().is_some()
    }

    /// Type of the entries' indices; none for rows of all values.
    fn index_type(&self) -> Option<&ArrowType> {
        let ArrowType::List(item) = self.field.data_type() else { return None };
        let ArrowType::Struct(fields) = item.data_type() else { return None };
        fields.first().map(|index| index.data_type())
    }

    /// Bytes of an entry, where rows are entries.
    fn entry_bytes(&self) -> u64 {
        let index = self.index_type().and_then(ArrowType::primitive_width).unwrap_or(0);
        (index + self.value_type.primitive_width().unwrap_or(1)) as u64
    }

    /// `count` rows of gaps.
    ///
    /// # Errors
    /// `Internal` for gaps that the type does not have.
    pub(super) fn filled(&self, count: usize) -> Result<ArrayRef> {
        if let Some(index_type) = self.index_type() {
            let values = spread::filled(&self.value_type, 0, Gap::Zero)?;
            let offsets = OffsetBuffer::new(vec![0_i32; count + 1].into());
            return spread::lists(index_type, offsets, &UInt32Array::from(Vec::<u32>::new()), values);
        }
        let width = usize::try_from(self.width).unwrap_or(usize::MAX);
        let values = spread::filled(&self.value_type, count.saturating_mul(width), self.gap)?;
        fixed_size_list(values, i32::try_from(width).unwrap_or(i32::MAX), count)
    }

    /// `own` rows of a member as these rows; `places` are where its columns stand.
    fn of(&self, own: &ArrayRef, places: Option<&[u32]>) -> Result<ArrayRef> {
        if places.is_none() && own.data_type() == self.field.data_type() {
            return Ok(Arc::clone(own));
        }
        match (own.data_type(), self.index_type()) {
            (ArrowType::List(_), Some(index_type)) => self.entries_of(own, index_type, places),
            (ArrowType::FixedSizeList(_, columns), index_type) => {
                let list = own.as_fixed_size_list();
                let values = columns::cast(list.values(), &self.value_type)?;
                let (rows, columns) = (list.len(), usize::try_from(*columns).unwrap_or(0));
                if let Some(index_type) = index_type {
                    let (offsets, own_places, values) = spread::nonzero(&values, rows, columns)?;
                    let places = moved(&own_places, places)?;
                    return spread::lists(index_type, OffsetBuffer::new(offsets.into()), &places, values);
                }
                let values = match places {
                    Some(places) => spread::spread(&values, rows, places, self.width as usize, self.gap)?,
                    None => values,
                };
                fixed_size_list(values, i32::try_from(self.width).unwrap_or(i32::MAX), rows)
            }
            (other, _) => Err(Error::internal(format!("rows of {other} in a united matrix"))),
        }
    }

    fn entries_of(&self, own: &ArrayRef, index_type: &ArrowType, places: Option<&[u32]>) -> Result<ArrayRef> {
        let list = own.as_list::<i32>();
        let entries = list.values().as_struct();
        let indices = cast(entries.column(0), &ArrowType::UInt32).map_err(arrow_error)?;
        let indices = moved(indices.as_primitive::<UInt32Type>(), places)?;
        let values = columns::cast(entries.column(1), &self.value_type)?;
        spread::lists(index_type, list.offsets().clone(), &indices, values)
    }
}

/// Indices of a member's columns as places among the united ones.
fn moved(indices: &UInt32Array, places: Option<&[u32]>) -> Result<UInt32Array> {
    let Some(places) = places else { return Ok(indices.clone()) };
    let place = |index: u32| places.get(index as usize).copied();
    let moved: Option<Vec<u32>> = indices.values().iter().map(|index| place(*index)).collect();
    moved.map(UInt32Array::from).ok_or_else(|| Error::internal("an entry leaves its row"))
}

/// The rows of one member as those of the united matrix.
#[derive(Debug)]
pub struct AlignedAnswer {
    own: Arc<dyn Windowed>,
    rows: Arc<Rows>,
    places: Option<Arc<[u32]>>,
    /// How much more memory a window takes than the member's own.
    factor: u64,
    schema: SchemaRef,
}

impl AlignedAnswer {
    /// `own` rows, whose column `i` is column `places[i]` of `rows`; the same column without places.
    pub fn new(own: Arc<dyn Windowed>, rows: Arc<Rows>, places: Option<Arc<[u32]>>) -> Self {
        let schema = Arc::new(Schema::new(vec![rows.field.clone()]));
        let factor = factor(&own, &rows, places.is_some());
        Self { own, rows, places, factor, schema }
    }

    fn narrowed(&self, context: &ReadContext) -> ReadContext {
        let mut narrow = context.clone();
        narrow.window_bytes = (context.window_bytes / self.factor).max(1);
        narrow
    }

    fn widened(&self, mut windows: Vec<Window>) -> Vec<Window> {
        windows.iter_mut().for_each(|window| window.bytes = window.bytes.saturating_mul(self.factor));
        windows
    }
}

/// What the rows take together with the member's own, in multiples of these, rounded up.
fn factor(own: &Arc<dyn Windowed>, rows: &Rows, moved: bool) -> u64 {
    let schema = own.schema();
    let same = schema.fields().first().is_some_and(|field| field.data_type() == rows.field.data_type());
    if same && !moved {
        return 1;
    }
    let own_bytes = match schema.fields().first().map(|field| field.data_type().clone()) {
        Some(ArrowType::FixedSizeList(item, columns)) => {
            let columns = u64::try_from(columns).unwrap_or(0);
            let own = columns.saturating_mul(item.data_type().primitive_width().unwrap_or(1) as u64).max(1);
            let united = rows.row_bytes().unwrap_or_else(|| columns.saturating_mul(rows.entry_bytes()));
            return united.div_ceil(own).saturating_add(1);
        }
        Some(ArrowType::List(item)) => match item.data_type() {
            ArrowType::Struct(fields) => {
                fields.iter().map(|field| field.data_type().primitive_width().unwrap_or(1) as u64).sum::<u64>()
            }
            _ => 1,
        },
        _ => 1,
    };
    rows.entry_bytes().div_ceil(own_bytes.max(1)).saturating_add(1)
}

#[async_trait]
impl Windowed for AlignedAnswer {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn rows(&self) -> u64 {
        self.own.rows()
    }

    fn is_divisible(&self) -> bool {
        self.own.is_divisible()
    }

    fn bytes(&self) -> Option<u64> {
        self.rows.row_bytes()?.checked_mul(self.rows())
    }

    fn estimated_row_bytes(&self) -> u64 {
        self.rows.row_bytes().unwrap_or_else(|| self.own.estimated_row_bytes()).max(1)
    }

    fn blocks(&self, rows: Range<u64>) -> Vec<Range<u64>> {
        self.own.blocks(rows)
    }

    async fn windows(&self, context: &ReadContext, block: Range<u64>) -> Result<Vec<Window>> {
        Ok(self.widened(self.own.windows(&self.narrowed(context), block).await?))
    }

    async fn foreseen(&self, context: &ReadContext, block: Range<u64>) -> Result<(Vec<Window>, bool)> {
        let (windows, certain) = self.own.foreseen(&self.narrowed(context), block).await?;
        Ok((self.widened(windows), certain))
    }

    async fn read(&self, context: &ReadContext, window: Window) -> Result<RecordBatch> {
        let batch = self.own.read(&self.narrowed(context), window).await?;
        let (rows, places, schema) = (Arc::clone(&self.rows), self.places.clone(), self.schema());
        let align = move || {
            let count = batch.num_rows();
            let column = rows.of(batch.column(0), places.as_deref())?;
            let options = RecordBatchOptions::new().with_row_count(Some(count));
            RecordBatch::try_new_with_options(schema, vec![column], &options).map_err(arrow_error)
        };
        context.decode(align).await
    }

    async fn plan(&self, context: &ReadContext, window: Window) -> Result<Vec<(String, ArrayPlan)>> {
        self.own.plan(&self.narrowed(context), window).await
    }
}
