//! The columns of a member's table as those of the united table: types, categories, gaps.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, DictionaryArray, Int32Array, new_null_array};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType as ArrowType, Field, Int8Type, Int16Type, Int32Type, Schema, SchemaRef};
use arrow::record_batch::{RecordBatch, RecordBatchOptions};
use async_trait::async_trait;

use crate::error::{Error, Result, ResultExt};
use crate::read::array::ArrayPlan;
use crate::read::context::ReadContext;
use crate::read::to_arrow::arrow_error;
use crate::read::windowed::{Window, Windowed};

/// A column of the united table.
#[derive(Clone, Debug)]
pub struct UnitedColumn {
    /// Its field.
    pub field: Field,
    /// Its categories, when it is a categorical whose categories are known.
    pub categories: Option<ArrayRef>,
}

/// Where a member has the values of a column.
#[derive(Clone, Debug)]
pub enum Source {
    /// In the column of this place of its own answer.
    Column(usize),
    /// In a categorical of that place, whose categories have these places among the united ones.
    Categorical(usize, Arc<[i32]>),
    /// In all rows the category of this place.
    Constant(i32),
    /// Nowhere: null.
    Missing,
}

impl UnitedColumn {
    /// A categorical of `categories`, with the type of code that pandas gives so many.
    pub fn categorical(name: &str, categories: ArrayRef, ordered: bool, nullable: bool) -> Self {
        let codes = match categories.len() {
            0..=126 => ArrowType::Int8,
            127..=32_766 => ArrowType::Int16,
            _ => ArrowType::Int32,
        };
        let data_type = ArrowType::Dictionary(Box::new(codes), Box::new(categories.data_type().clone()));
        let field = Field::new(name, data_type, nullable).with_dict_is_ordered(ordered);
        Self { field, categories: Some(categories) }
    }

    /// The column's values in `rows` rows of which `own` has what the member's answer has.
    ///
    /// # Errors
    /// `DataLoss` for a code without category, `Unimplemented` for values that do not have the type.
    pub fn of(&self, source: &Source, own: &[ArrayRef], rows: usize) -> Result<ArrayRef> {
        self.values(source, own, rows).with_context(|| format!("column '{}'", self.field.name()))
    }

    fn values(&self, source: &Source, own: &[ArrayRef], rows: usize) -> Result<ArrayRef> {
        let column = |at: &usize| own.get(*at).ok_or_else(|| Error::internal("no such column of a member"));
        match source {
            Source::Missing => match &self.categories {
                Some(categories) => dictionary(&Int32Array::new_null(rows), self.field.data_type(), categories),
                None => Ok(new_null_array(self.field.data_type(), rows)),
            },
            Source::Constant(code) => {
                let categories = self.categories.as_ref().ok_or_else(|| Error::internal("no categories"))?;
                dictionary(&Int32Array::from_value(*code, rows), self.field.data_type(), categories)
            }
            Source::Categorical(at, places) => {
                let categories = self.categories.as_ref().ok_or_else(|| Error::internal("no categories"))?;
                let codes = moved(column(at)?, places)?;
                dictionary(&codes, self.field.data_type(), categories)
            }
            Source::Column(at) => cast(column(at)?, self.field.data_type()),
        }
    }
}

/// A batch of `columns` without rows, which has their categories.
///
/// # Errors
/// `Internal` when fields and categories contradict each other.
pub fn empty(columns: &[UnitedColumn]) -> Result<RecordBatch> {
    let schema = Arc::new(Schema::new(columns.iter().map(|column| column.field.clone()).collect::<Vec<_>>()));
    let arrays = columns.iter().map(|column| column.of(&Source::Missing, &[], 0)).collect::<Result<Vec<_>>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(0));
    RecordBatch::try_new_with_options(schema, arrays, &options).map_err(arrow_error)
}

/// The codes of a categorical as those of the united categories.
fn moved(column: &ArrayRef, places: &[i32]) -> Result<Int32Array> {
    let column = column.as_any_dictionary_opt().ok_or_else(|| Error::internal("a categorical without codes"))?;
    let codes = cast(&arrow::array::make_array(column.keys().to_data()), &ArrowType::Int32)?;
    let place = |code: Option<i32>| code.map(|code| usize::try_from(code).ok().and_then(|code| places.get(code)));
    let moved = codes.as_primitive::<Int32Type>().iter().map(|code| match place(code) {
        None => Ok(None),
        Some(Some(place)) => Ok(Some(*place)),
        Some(None) => Err(Error::data_loss(format!("code {code:?} has no category, there are {}", places.len()))),
    });
    moved.collect()
}

/// Codes of `categories` as a dictionary of `data_type`.
pub(super) fn dictionary(codes: &dyn Array, data_type: &ArrowType, categories: &ArrayRef) -> Result<ArrayRef> {
    let ArrowType::Dictionary(key, _) = data_type else {
        return Err(Error::internal(format!("codes of a column of {data_type}")));
    };
    let codes = cast(&arrow::array::make_array(codes.to_data()), key)?;
    let categories = Arc::clone(categories);
    Ok(match key.as_ref() {
        ArrowType::Int8 => Arc::new(
            DictionaryArray::try_new(codes.as_primitive::<Int8Type>().clone(), categories).map_err(arrow_error)?,
        ),
        ArrowType::Int16 => Arc::new(
            DictionaryArray::try_new(codes.as_primitive::<Int16Type>().clone(), categories).map_err(arrow_error)?,
        ),
        ArrowType::Int32 => Arc::new(
            DictionaryArray::try_new(codes.as_primitive::<Int32Type>().clone(), categories).map_err(arrow_error)?,
        ),
        other => return Err(Error::internal(format!("codes of {other}"))),
    })
}

/// `array` as `data_type`, which has all of its values.
pub(super) fn cast(array: &ArrayRef, data_type: &ArrowType) -> Result<ArrayRef> {
    if array.data_type() == data_type {
        return Ok(Arc::clone(array));
    }
    let options = CastOptions { safe: false, ..Default::default() };
    cast_with_options(array, data_type, &options)
        .map_err(|error| Error::unimplemented(format!("{} as {data_type}: {error}", array.data_type())))
}

/// The rows of one member with the united columns.
#[derive(Debug)]
pub struct ColumnsAnswer {
    own: Arc<dyn Windowed>,
    columns: Arc<[UnitedColumn]>,
    sources: Vec<Source>,
    schema: SchemaRef,
}

impl ColumnsAnswer {
    /// `own` rows as `columns`, each from its source.
    pub fn new(own: Arc<dyn Windowed>, columns: Arc<[UnitedColumn]>, sources: Vec<Source>) -> Self {
        let schema = Arc::new(Schema::new(columns.iter().map(|column| column.field.clone()).collect::<Vec<_>>()));
        Self { own, columns, sources, schema }
    }

    /// Bytes of a row in columns that the member does not store.
    fn added_bytes(&self) -> u64 {
        let added = self.columns.iter().zip(&self.sources).filter_map(|(column, source)| match source {
            Source::Missing | Source::Constant(_) => Some(column.field.data_type().primitive_width().unwrap_or(8)),
            _ => None,
        });
        added.sum::<usize>() as u64
    }

    /// `context` with room for the member's columns, and for those that are made of them.
    fn narrowed(context: &ReadContext) -> ReadContext {
        let mut narrow = context.clone();
        narrow.window_bytes = (context.window_bytes / 2).max(1);
        narrow
    }

    fn widened(&self, windows: Vec<Window>) -> Vec<Window> {
        let widen = |mut window: Window| {
            let rows = window.rows.end - window.rows.start;
            let added = rows.saturating_mul(self.added_bytes());
            window.bytes = window.bytes.saturating_mul(2).saturating_add(added);
            window
        };
        windows.into_iter().map(widen).collect()
    }
}

#[async_trait]
impl Windowed for ColumnsAnswer {
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
        None
    }

    fn estimated_row_bytes(&self) -> u64 {
        self.own.estimated_row_bytes().saturating_add(self.added_bytes())
    }

    fn blocks(&self, rows: Range<u64>) -> Vec<Range<u64>> {
        self.own.blocks(rows)
    }

    async fn windows(&self, context: &ReadContext, block: Range<u64>) -> Result<Vec<Window>> {
        Ok(self.widened(self.own.windows(&Self::narrowed(context), block).await?))
    }

    async fn foreseen(&self, context: &ReadContext, block: Range<u64>) -> Result<(Vec<Window>, bool)> {
        let (windows, certain) = self.own.foreseen(&Self::narrowed(context), block).await?;
        Ok((self.widened(windows), certain))
    }

    async fn read(&self, context: &ReadContext, window: Window) -> Result<RecordBatch> {
        let batch = self.own.read(&Self::narrowed(context), window).await?;
        let (columns, sources, schema) = (Arc::clone(&self.columns), self.sources.clone(), self.schema());
        let convert = move || {
            let rows = batch.num_rows();
            let arrays = columns.iter().zip(&sources).map(|(column, source)| column.of(source, batch.columns(), rows));
            let options = RecordBatchOptions::new().with_row_count(Some(rows));
            RecordBatch::try_new_with_options(schema, arrays.collect::<Result<_>>()?, &options).map_err(arrow_error)
        };
        context.decode(convert).await
    }

    async fn plan(&self, context: &ReadContext, window: Window) -> Result<Vec<(String, ArrayPlan)>> {
        self.own.plan(&Self::narrowed(context), window).await
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{Float64Array, Int64Array, StringArray};

    use super::*;

    fn categorical(codes: Vec<Option<i8>>, categories: &[&str]) -> ArrayRef {
        let values = Arc::new(StringArray::from(categories.to_vec()));
        Arc::new(DictionaryArray::<Int8Type>::try_new(codes.into(), values).unwrap())
    }

    #[test]
    fn codes_are_moved_and_nulls_stay() {
        let categories: ArrayRef = Arc::new(StringArray::from(vec!["a", "b", "c"]));
        let column = UnitedColumn::categorical("kind", Arc::clone(&categories), false, true);
        assert_eq!(column.field.data_type().to_string(), "Dictionary(Int8, Utf8)");
        let own = [categorical(vec![Some(1), None, Some(0)], &["c", "a"])];
        let texts = |array: ArrayRef| {
            let plain = cast(&array, &ArrowType::Utf8).unwrap();
            plain.as_string::<i32>().iter().map(|text| text.map(str::to_owned)).collect::<Vec<_>>()
        };
        let source = Source::Categorical(0, Arc::from([2, 0]));
        assert_eq!(texts(column.of(&source, &own, 3).unwrap()), [Some("a".into()), None, Some("c".into())]);
        assert_eq!(texts(column.of(&Source::Constant(1), &own, 2).unwrap()), [Some("b".into()), Some("b".into())]);
        assert_eq!(texts(column.of(&Source::Missing, &own, 2).unwrap()), [None, None]);
        let error = column.of(&Source::Categorical(0, Arc::from([0])), &own, 3).unwrap_err();
        assert!(error.to_string().contains("'kind'"), "{error}");
        let none = empty(&[column]).unwrap();
        assert_eq!((none.num_rows(), none.column(0).as_any_dictionary().values().len()), (0, 3));
    }

    #[test]
    fn plain_columns_take_the_united_type() {
        let column = |data_type: ArrowType| UnitedColumn { field: Field::new("x", data_type, true), categories: None };
        let own: [ArrayRef; 2] = [Arc::new(Int64Array::from(vec![1, 2])), categorical(vec![None, Some(0)], &["a"])];
        let floats = column(ArrowType::Float64).of(&Source::Column(0), &own, 2).unwrap();
        assert_eq!(floats.as_ref(), &Float64Array::from(vec![1.0, 2.0]) as &dyn Array);
        let texts = column(ArrowType::Utf8).of(&Source::Column(1), &own, 2).unwrap();
        assert_eq!(texts.as_ref(), &StringArray::from(vec![None, Some("a")]) as &dyn Array);
        assert_eq!(column(ArrowType::Int8).of(&Source::Missing, &own, 3).unwrap().null_count(), 3);
    }

    #[test]
    fn codes_are_as_wide_as_those_of_pandas() {
        let key = |count: usize| {
            let texts: ArrayRef = Arc::new(StringArray::from_iter_values((0..count).map(|at| at.to_string())));
            match UnitedColumn::categorical("x", texts, false, false).field.data_type() {
                ArrowType::Dictionary(key, _) => key.to_string(),
                other => other.to_string(),
            }
        };
        assert_eq!([key(126), key(127), key(32_766), key(32_767)], ["Int8", "Int16", "Int16", "Int32"]);
    }
}
