//! The selected elements of a column, flat: of one array, or of the arrays that make a nullable or categorical one.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, BooleanArray, DictionaryArray, PrimitiveArray};
use arrow::buffer::{BooleanBuffer, Buffer, MutableBuffer, NullBuffer};
use arrow::datatypes::{
    ArrowDictionaryKeyType, ArrowNativeType, DataType as ArrowType, Int8Type, Int16Type, Int32Type, Int64Type,
    UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::sync::OnceCell;

use crate::error::{Error, Result, ResultExt};
use crate::format::Hierarchy;
use crate::format::anndata::meaning::Column;
use crate::model::data_type::DataType;
use crate::model::selection::AxisSelection;
use crate::read::array::{ArrayValues, Caching, Values, read_array, read_blocks, read_transposed};
use crate::read::context::ReadContext;
use crate::read::convert::converted;
use crate::read::scatter::copy_elements;
use crate::read::to_arrow::{arrow_error, strided};

/// Largest array of categories that is read, in elements.
const MAX_CATEGORIES: u64 = 16 * 1024 * 1024;

/// What is selected of a column, and where from.
pub(super) struct Elements<'a> {
    pub(super) context: &'a ReadContext,
    pub(super) hierarchy: &'a Hierarchy,
    pub(super) rows: &'a AxisSelection,
    pub(super) leading: &'a [AxisSelection],
    pub(super) trailing: &'a [AxisSelection],
    pub(super) caching: Caching,
}

impl<'a> Elements<'a> {
    /// All selected elements, flat.
    pub(super) fn column<'b>(
        &'b self,
        column: &'b Column,
        dictionary: &'b OnceCell<ArrayRef>,
    ) -> BoxFuture<'b, Result<ArrayRef>>
    where
        'a: 'b,
    {
        async move {
            match column {
                Column::Array { path } => {
                    let values = self.values(path, self.trailing).await?;
                    let converted = self.convert(&values.data_type.clone(), values).await;
                    converted.with_context(|| format!("array '{path}'"))
                }
                Column::Transposed { path } => {
                    let selection: Vec<_> = self.trailing.iter().chain([self.rows]).cloned().collect();
                    let values = read_transposed(self.context, self.hierarchy, path, &selection, self.caching).await?;
                    self.convert(&values.data_type.clone(), values).await
                }
                Column::Field { path, field } => {
                    let values = self.values(path, &[]).await?;
                    let converted = self.field(values, path, field).await;
                    converted.with_context(|| format!("field '{field}' of array '{path}'"))
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

    /// All selected elements of the array at `path`, in the parts of [`read_blocks`], with the rows of each.
    pub(super) async fn blocks(&self, path: &str) -> Result<Vec<(usize, ArrayRef)>> {
        let selection = self.selection(path, self.trailing)?;
        let mut blocks = Vec::new();
        for values in read_blocks(self.context, self.hierarchy, path, &selection, self.caching).await? {
            let rows = element_count(values.shape.get(..1).unwrap_or_default())?;
            let converted = self.convert(&values.data_type.clone(), values).await;
            blocks.push((rows, converted.with_context(|| format!("array '{path}'"))?));
        }
        Ok(blocks)
    }

    async fn whole(&self, path: &str) -> Result<ArrayRef> {
        let values = self.values(path, &[]).await?;
        self.convert(&values.data_type.clone(), values).await
    }

    pub(super) async fn values(&self, path: &str, trailing: &[AxisSelection]) -> Result<ArrayValues> {
        read_array(self.context, self.hierarchy, path, &self.selection(path, trailing)?, self.caching).await
    }

    /// What is selected on each dimension of the array at `path`; nothing on a scalar.
    fn selection(&self, path: &str, trailing: &[AxisSelection]) -> Result<Vec<AxisSelection>> {
        if self.hierarchy.tree().array(path)?.shape.is_empty() {
            return Ok(Vec::new());
        }
        let rows = self.leading.iter().chain([self.rows]);
        Ok(rows.chain(trailing).cloned().collect())
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
    async fn sub_arrays(&self, part: Buffer, element: &DataType, dimensions: &[u64], count: usize) -> Result<ArrayRef> {
        let item = element.item_size();
        let source: Vec<u64> = std::iter::once(count as u64).chain(dimensions.iter().copied()).collect();
        let selection: Vec<_> =
            std::iter::once(AxisSelection::all(count as u64)).chain(self.trailing.iter().cloned()).collect();
        let shape: Vec<u64> = selection.iter().map(AxisSelection::len).collect();
        let total = element_count(&shape)?;
        let mut gathered = MutableBuffer::from_len_zeroed(total.saturating_mul(item));
        let runs: Vec<Arc<[_]>> = selection.iter().map(|positions| positions.runs().into()).collect();
        if total > 0 {
            let target = (gathered.as_slice_mut(), shape.as_slice());
            copy_elements((part.as_slice(), &source), target, &runs, item)?;
        }
        converted(self.context, self.hierarchy, element, Values::Fixed(gathered.into()), total).await
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
