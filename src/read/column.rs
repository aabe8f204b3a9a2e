//! Reads one column (array, compound field, categorical, nullable) as an Arrow array.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, BooleanArray, DictionaryArray, PrimitiveArray};
use arrow::buffer::{BooleanBuffer, NullBuffer};
use arrow::datatypes::{
    ArrowDictionaryKeyType, ArrowNativeType, DataType as ArrowType, Field, Int8Type, Int16Type, Int32Type, Int64Type,
    UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::sync::OnceCell;

use super::array::{ArrayValues, Caching, Values, read_array};
use super::context::ReadContext;
use super::convert::converted;
use super::to_arrow::{arrow_error, arrow_type, fixed_size_list, list_size, strided};
use crate::error::{Error, Result, ResultExt};
use crate::format::Hierarchy;
use crate::format::anndata::meaning::Column;
use crate::model::data_type::DataType;
use crate::model::selection::AxisSelection;
use crate::model::tree::Tree;

/// Bytes that one text is taken to need when windows are planned.
const TEXT_BYTES: u64 = 64;

/// Largest array of categories that is read, in elements.
const MAX_CATEGORIES: u64 = 16 * 1024 * 1024;

/// A column ready to be read window by window. Categories are read once.
#[derive(Debug)]
pub struct ColumnReader {
    /// Name and Arrow type of the column, with its metadata.
    pub field: Field,
    /// Where the values come from.
    pub column: Column,
    /// Estimated bytes of one row.
    pub row_bytes: u64,
    /// Whether elements are texts, whose bytes are not known before reading.
    pub is_text: bool,
    /// Single positions on dimensions before the rows, which the answer does not have (`squeeze`).
    leading: Vec<AxisSelection>,
    /// Selections on the dimensions behind the rows.
    trailing: Vec<AxisSelection>,
    /// Dimensions of the stored array; what a field's own sub-arrays add is not among them.
    rank: usize,
    /// Shape of one row of the answer.
    lengths: Vec<u64>,
    /// Arrow type of one element.
    element: ArrowType,
    categories: OnceCell<ArrayRef>,
}

impl ColumnReader {
    /// A reader of `column` under `name`; `trailing` selects on the dimensions behind the first.
    ///
    /// # Errors
    /// `Unimplemented` for types that are not served, `NotFound` for missing parts.
    pub fn new(tree: &Tree, name: &str, column: Column, trailing: Vec<AxisSelection>) -> Result<Self> {
        let lengths: Vec<u64> = trailing.iter().map(AxisSelection::len).collect();
        let element = element_type(tree, &column)?;
        let nullable = matches!(column, Column::Categorical { .. } | Column::Nullable { .. });
        let ordered = matches!(column, Column::Categorical { ordered: true, .. });
        let stored = column.stored_type(tree)?;
        let is_text = stored.is_text();
        let width = item_bytes(&stored, is_text);
        let row_bytes = lengths.iter().fold(width, |total, length| total.saturating_mul(*length)).max(1);
        let field = match lengths.as_slice() {
            [] => Field::new(name, element.clone(), nullable).with_dict_is_ordered(ordered),
            lengths => tensor_field(name, element.clone(), lengths)?,
        };
        let rank = tree.array(column.main_path())?.shape.len();
        let (leading, categories) = (Vec::new(), OnceCell::new());
        Ok(Self { field, column, row_bytes, is_text, leading, trailing, rank, lengths, element, categories })
    }

    /// The same with elements of `lengths`: the trailing lengths without those that were squeezed.
    ///
    /// # Errors
    /// `Unimplemented` when rows get more than 2^31 elements.
    pub fn shaped(mut self, lengths: &[u64]) -> Result<Self> {
        if self.lengths != lengths {
            self.field = element_field(self.field.name(), self.element.clone(), lengths)?;
            self.lengths = lengths.to_vec();
        }
        Ok(self)
    }

    /// The same with single positions on the dimensions before the rows.
    #[must_use]
    pub fn behind(mut self, leading: Vec<AxisSelection>) -> Self {
        self.leading = leading;
        self
    }

    /// The selection of `rows` on every dimension of the array; none for a scalar.
    pub fn selection(&self, rows: AxisSelection) -> Vec<AxisSelection> {
        self.leading.iter().cloned().chain([rows]).chain(self.trailing.iter().cloned()).take(self.rank).collect()
    }

    /// Paths of the arrays that are read row by row.
    pub fn paths(&self) -> Vec<&str> {
        match &self.column {
            Column::Nullable { values, mask } => vec![values, mask],
            column => vec![column.main_path()],
        }
    }

    /// Reads the selected rows.
    ///
    /// # Errors
    /// As [`read_array`], and `DataLoss` for codes without a category.
    pub async fn read(
        &self,
        context: &ReadContext,
        hierarchy: &Hierarchy,
        rows: &AxisSelection,
        caching: Caching,
    ) -> Result<ArrayRef> {
        let read = Read { context, hierarchy, rows, leading: &self.leading, trailing: &self.trailing, caching };
        let flat = read.column(&self.column, &self.categories).await?;
        if self.lengths.is_empty() {
            return Ok(flat);
        }
        let count = usize::try_from(rows.len()).map_err(|_| Error::resource_exhausted("too many rows in a window"))?;
        fixed_size_list(flat, list_size(&self.lengths)?, count)
    }
}

/// Bytes that one element is taken to need, gathered and in Arrow.
fn item_bytes(stored: &DataType, is_text: bool) -> u64 {
    stored.item_size() as u64 + if is_text { TEXT_BYTES } else { 0 }
}

/// The Arrow type of one element of the column.
fn element_type(tree: &Tree, column: &Column) -> Result<ArrowType> {
    match column {
        Column::Categorical { codes, categories, .. } => {
            let key = arrow_type(&codes.stored_type(tree)?)?;
            let value = arrow_type(&tree.array(categories)?.data_type)?;
            Ok(ArrowType::Dictionary(Box::new(key), Box::new(value)))
        }
        _ => {
            let stored = column.stored_type(tree)?;
            // A field's sub-array counts as dimensions of the column (`Column::shape`).
            let element = match (&stored, column) {
                (DataType::FixedArray { element, .. }, Column::Field { .. }) => element,
                _ => &stored,
            };
            arrow_type(element).with_context(|| format!("'{}'", column.main_path()))
        }
    }
}

/// The field of elements or, where `lengths` has any, of rows of that shape.
fn element_field(name: &str, element: ArrowType, lengths: &[u64]) -> Result<Field> {
    if lengths.is_empty() { Ok(Field::new(name, element, false)) } else { tensor_field(name, element, lengths) }
}

/// The field of rows of shape `lengths`: a fixed-size list, marked as `arrow.fixed_shape_tensor` for
/// elements of a numeric type.
pub(super) fn tensor_field(name: &str, element: ArrowType, lengths: &[u64]) -> Result<Field> {
    let numeric = element.is_numeric();
    let list = ArrowType::FixedSizeList(Arc::new(Field::new("item", element, false)), list_size(lengths)?);
    let field = Field::new(name, list, false);
    if !numeric {
        return Ok(field);
    }
    let shape = serde_json::json!({ "shape": lengths }).to_string();
    Ok(field.with_metadata(
        [
            ("ARROW:extension:name".to_owned(), "arrow.fixed_shape_tensor".to_owned()),
            ("ARROW:extension:metadata".to_owned(), shape),
        ]
        .into(),
    ))
}

struct Read<'a> {
    context: &'a ReadContext,
    hierarchy: &'a Hierarchy,
    rows: &'a AxisSelection,
    leading: &'a [AxisSelection],
    trailing: &'a [AxisSelection],
    caching: Caching,
}

impl<'a> Read<'a> {
    /// All selected elements, flat.
    fn column<'b>(&'b self, column: &'b Column, dictionary: &'b OnceCell<ArrayRef>) -> BoxFuture<'b, Result<ArrayRef>>
    where
        'a: 'b,
    {
        async move {
            match column {
                Column::Array { path } => {
                    let values = self.values(path, self.trailing).await?;
                    self.convert(&values.data_type.clone(), values).await
                }
                Column::Field { path, field } => {
                    let values = self.values(path, &[]).await?;
                    self.field(values, path, field).await
                }
                Column::Nullable { values, mask } => {
                    let (values, mask) = tokio::try_join!(self.whole(values), self.whole(mask))?;
                    nullable(values, &mask)
                }
                Column::Categorical { codes, categories, .. } => {
                    let categories_of = dictionary.get_or_try_init(|| self.categories(categories));
                    let (codes, categories_of) = tokio::try_join!(self.column(codes, dictionary), categories_of)?;
                    let (bytes, categories_of) = (codes.get_array_memory_size() as u64, Arc::clone(categories_of));
                    let encoding = self.context.compute(bytes, move || encoded(&codes, &categories_of));
                    encoding.await.with_context(|| format!("categorical of '{categories}'"))
                }
            }
        }
        .boxed()
    }

    async fn whole(&self, path: &str) -> Result<ArrayRef> {
        let values = self.values(path, &[]).await?;
        self.convert(&values.data_type.clone(), values).await
    }

    async fn values(&self, path: &str, trailing: &[AxisSelection]) -> Result<ArrayValues> {
        let mut selection: Vec<_> = self.leading.iter().cloned().chain([self.rows.clone()]).collect();
        selection.extend_from_slice(trailing);
        if self.hierarchy.tree().array(path)?.shape.is_empty() {
            selection.clear();
        }
        read_array(self.context, self.hierarchy, path, &selection, self.caching).await
    }

    async fn convert(&self, data_type: &DataType, values: ArrayValues) -> Result<ArrayRef> {
        let count = element_count(&values.shape)?;
        let count = match &values.values {
            Values::Fixed(buffer) if buffer.is_empty() && data_type.item_size() > 0 => 0,
            _ => count,
        };
        converted(self.context, self.hierarchy, data_type, values.values, count).await
    }

    async fn field(&self, values: ArrayValues, path: &str, name: &str) -> Result<ArrayRef> {
        let count = element_count(&values.shape)?;
        let (DataType::Struct { size, fields }, Values::Fixed(buffer)) = (&values.data_type, &values.values) else {
            return Err(Error::not_found(format!("array '{path}' has no fields, asked for '{name}'")));
        };
        let field = fields.iter().find(|field| field.name == name);
        let field = field.ok_or_else(|| Error::not_found(format!("no field '{name}' in '{path}'")))?;
        let item = field.data_type.item_size();
        let part = strided(buffer, *size as usize, field.offset as usize, item, count)?;
        if let DataType::FixedArray { element, dimensions } = &field.data_type
            && self.trailing.len() == dimensions.len()
        {
            return self.sub_arrays(part, element, dimensions, count).await;
        }
        converted(self.context, self.hierarchy, &field.data_type, Values::Fixed(part), count).await
    }

    /// The selected part of each row's sub-array.
    async fn sub_arrays(
        &self,
        part: arrow::buffer::MutableBuffer,
        element: &DataType,
        dimensions: &[u64],
        count: usize,
    ) -> Result<ArrayRef> {
        let item = element.item_size();
        let source: Vec<u64> = std::iter::once(count as u64).chain(dimensions.iter().copied()).collect();
        let selection: Vec<_> =
            std::iter::once(AxisSelection::all(count as u64)).chain(self.trailing.iter().cloned()).collect();
        let shape: Vec<u64> = selection.iter().map(AxisSelection::len).collect();
        let total = element_count(&shape)?;
        let mut gathered = arrow::buffer::MutableBuffer::from_len_zeroed(total.saturating_mul(item));
        let runs: Vec<_> = selection.iter().map(AxisSelection::runs).collect();
        if total > 0 {
            let target = (gathered.as_slice_mut(), shape.as_slice());
            super::scatter::copy_elements((part.as_slice(), &source), target, &runs, item)?;
        }
        converted(self.context, self.hierarchy, element, Values::Fixed(gathered), total).await
    }

    async fn categories(&self, path: &str) -> Result<ArrayRef> {
        let node = self.hierarchy.tree().array(path)?;
        let count = node.element_count()?;
        if count > MAX_CATEGORIES {
            return Err(Error::resource_exhausted(format!(
                "'{path}' has {count} categories, more than the limit of {MAX_CATEGORIES}"
            )));
        }
        let selection: Vec<_> = node.shape.iter().map(|length| AxisSelection::all(*length)).collect();
        let values = read_array(self.context, self.hierarchy, path, &selection, Caching::Keep).await?;
        self.convert(&values.data_type.clone(), values).await
    }
}

fn element_count(shape: &[u64]) -> Result<usize> {
    let count = shape.iter().try_fold(1_u64, |total, length| total.checked_mul(*length));
    count
        .and_then(|count| usize::try_from(count).ok())
        .ok_or_else(|| Error::resource_exhausted("a window has more elements than fit in memory"))
}

/// `values` with nulls where `mask` is true.
fn nullable(values: ArrayRef, mask: &ArrayRef) -> Result<ArrayRef> {
    let mask = mask.as_any().downcast_ref::<BooleanArray>();
    let mask = mask.ok_or_else(|| Error::data_loss("the mask of a nullable column is not boolean"))?;
    if mask.len() != values.len() {
        return Err(Error::data_loss(format!("a mask has {} rows, its values {}", mask.len(), values.len())));
    }
    let nulls = NullBuffer::new(!mask.values());
    let data = values.to_data().into_builder().nulls(Some(nulls)).build().map_err(arrow_error)?;
    Ok(arrow::array::make_array(data))
}

/// Codes of any integer type into categories; negative codes are null.
fn encoded(codes: &ArrayRef, categories: &ArrayRef) -> Result<ArrayRef> {
    match codes.data_type() {
        ArrowType::Int8 => dictionary::<Int8Type>(codes, categories),
        ArrowType::Int16 => dictionary::<Int16Type>(codes, categories),
        ArrowType::Int32 => dictionary::<Int32Type>(codes, categories),
        ArrowType::Int64 => dictionary::<Int64Type>(codes, categories),
        ArrowType::UInt8 => dictionary::<UInt8Type>(codes, categories),
        ArrowType::UInt16 => dictionary::<UInt16Type>(codes, categories),
        ArrowType::UInt32 => dictionary::<UInt32Type>(codes, categories),
        ArrowType::UInt64 => dictionary::<UInt64Type>(codes, categories),
        other => Err(Error::data_loss(format!("codes of a categorical are {other}, expected integers"))),
    }
}

fn dictionary<T: ArrowDictionaryKeyType>(codes: &ArrayRef, categories: &ArrayRef) -> Result<ArrayRef> {
    let codes = codes.as_any().downcast_ref::<PrimitiveArray<T>>();
    let codes = codes.ok_or_else(|| Error::internal("codes have another type than they say"))?;
    let zero = T::Native::default();
    let values = codes.values();
    let is_known = |code: &T::Native| code.to_usize().is_some_and(|code| code < categories.len());
    if let Some(code) = values.iter().find(|code| **code >= zero && !is_known(code)) {
        return Err(Error::data_loss(format!("code {code:?} has no category, there are {}", categories.len())));
    }
    let keys = if values.iter().any(|code| *code < zero) {
        let nulls = NullBuffer::new(BooleanBuffer::collect_bool(values.len(), |row| values[row] >= zero));
        // A null's key is not looked at, but readers check that it is within the dictionary.
        let keys: Vec<T::Native> = values.iter().map(|code| if *code < zero { zero } else { *code }).collect();
        PrimitiveArray::<T>::new(keys.into(), Some(nulls))
    } else {
        codes.clone()
    };
    let array = DictionaryArray::<T>::try_new(keys, Arc::clone(categories)).map_err(arrow_error)?;
    Ok(Arc::new(array))
}
