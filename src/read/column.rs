//! Reads one column (array, compound field, categorical, nullable) as an Arrow array.

mod elements;

use std::sync::Arc;

use arrow::array::{ArrayRef, NullArray};
use arrow::datatypes::{DataType as ArrowType, Field};
use tokio::sync::OnceCell;

use elements::Elements;

use super::array::{ArrayValues, Caching, Values};
use super::context::ReadContext;
use super::field::{arrow_type, element_field};
use super::lists::heap_bytes;
use super::to_arrow::{fixed_size_list_of, list_size};
use crate::error::{Error, Result, ResultExt};
use crate::format::Hierarchy;
use crate::format::anndata::meaning::Column;
use crate::model::data_type::DataType;
use crate::model::selection::AxisSelection;
use crate::model::tree::Tree;
use crate::plan::tasks::{window_parts, window_tasks};
use crate::plan::window::{WindowBounds, windows};

/// Bytes that one text is taken to need when windows are planned.
const TEXT_BYTES: u64 = 64;

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
    /// Field of one element, called `item`.
    element: Field,
    /// Whether elements are or hold sequences, whose sizes their references tell.
    pub has_lists: bool,
    /// Whether elements are or hold texts of variable length.
    has_texts: bool,
    /// Whether there is no value: an HDF5 null dataspace, or anndata's encoding `null`.
    is_null: bool,
    categories: OnceCell<ArrayRef>,
}

impl ColumnReader {
    /// A reader of `column` under `name`; `trailing` selects on the dimensions behind the first.
    ///
    /// # Errors
    /// `Unimplemented` for types that are not served, `NotFound` for missing parts.
    pub fn new(tree: &Tree, name: &str, column: Column, trailing: Vec<AxisSelection>) -> Result<Self> {
        let lengths: Vec<u64> = trailing.iter().map(AxisSelection::len).collect();
        let array = tree.array(column.main_path())?;
        let is_null = array.is_null || tree.text_attribute(column.main_path(), "encoding-type") == Some("null");
        let element = if is_null { Field::new("item", ArrowType::Null, true) } else { element_of(tree, &column)? };
        let stored = column.stored_type(tree)?;
        let is_text = stored.is_variable() && !is_null;
        let width = item_bytes(&stored, is_text);
        let row_bytes = lengths.iter().fold(width, |total, length| total.saturating_mul(*length)).max(1);
        let field = list_field(name, &element, &lengths)?;
        let rank = array.shape.len();
        let (has_lists, has_texts) = (stored.has_lists() && !is_null, stored.has_texts() && !is_null);
        let (leading, categories) = (Vec::new(), OnceCell::new());
        Ok(Self {
            field,
            column,
            row_bytes,
            is_text,
            leading,
            trailing,
            rank,
            lengths,
            element,
            has_lists,
            has_texts,
            is_null,
            categories,
        })
    }

    /// The same with elements of `lengths`: the trailing lengths without those that were squeezed.
    ///
    /// # Errors
    /// `Unimplemented` when rows get more than 2^31 elements.
    pub fn shaped(mut self, lengths: &[u64]) -> Result<Self> {
        if self.lengths != lengths {
            self.field = list_field(self.field.name(), &self.element, lengths)?;
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

    /// The selection of `rows` on every dimension of the array as stored; none for a scalar.
    pub fn selection(&self, rows: AxisSelection) -> Vec<AxisSelection> {
        if let Column::Transposed { .. } = &self.column {
            return self.trailing.iter().cloned().chain([rows]).collect();
        }
        self.leading.iter().cloned().chain([rows]).chain(self.trailing.iter().cloned()).take(self.rank).collect()
    }

    /// Windows of at most `most` of the rows, that end at borders of `border` rows and plan about `tasks` chunks at most;
    /// see [`WindowBounds`].
    pub fn window_bounds(&self, tree: &Tree, rows: &AxisSelection, most: u64, border: u64, tasks: u64) -> WindowBounds {
        let axis =
            if matches!(self.column, Column::Transposed { .. }) { self.trailing.len() } else { self.leading.len() };
        let selection = self.selection(rows.clone());
        let part = |path: &&str| tree.array(path).ok().map(|node| window_parts(node, &selection, axis, tasks));
        let parts = self.paths().iter().filter_map(part).min_by_key(|(rows, parts)| rows.saturating_mul(*parts));
        let (part_rows, parts) = parts.unwrap_or((border, u64::MAX));
        WindowBounds { rows: most, border, part_rows, parts }
    }

    /// Paths of the arrays that are read row by row.
    pub fn paths(&self) -> Vec<&str> {
        match &self.column {
            _ if self.is_null => Vec::new(),
            Column::Nullable { values, mask } => vec![values, mask],
            column => vec![column.main_path()],
        }
    }

    /// Reads the selected rows.
    ///
    /// # Errors
    /// As [`super::array::read_array`], and `DataLoss` for codes without a category.
    pub async fn read(
        &self,
        context: &ReadContext,
        hierarchy: &Hierarchy,
        rows: &AxisSelection,
        caching: Caching,
    ) -> Result<ArrayRef> {
        let count = usize::try_from(rows.len()).map_err(|_| Error::resource_exhausted("too many rows in a window"))?;
        if self.is_null {
            return Ok(Arc::new(NullArray::new(count)));
        }
        let elements = Elements { context, hierarchy, rows, leading: &self.leading, trailing: &self.trailing, caching };
        self.in_rows(elements.column(&self.column, &self.categories).await?, count)
    }

    /// Whether [`ColumnReader::read_blocks`] may give more than one: its rows are elements of one array, row by row.
    pub fn has_blocks(&self) -> bool {
        let is_fixed = !self.has_lists && !self.has_texts && !self.is_null;
        matches!(self.column, Column::Array { .. }) && self.leading.is_empty() && is_fixed
    }

    /// As [`ColumnReader::read`], in parts one behind the other that need not be copied.
    ///
    /// # Errors
    /// As [`ColumnReader::read`].
    pub async fn read_blocks(
        &self,
        context: &ReadContext,
        hierarchy: &Hierarchy,
        rows: &AxisSelection,
        caching: Caching,
    ) -> Result<Vec<ArrayRef>> {
        let Column::Array { path } = &self.column else {
            return Ok(vec![self.read(context, hierarchy, rows, caching).await?]);
        };
        let elements = Elements { context, hierarchy, rows, leading: &self.leading, trailing: &self.trailing, caching };
        let blocks = elements.blocks(path).await?;
        blocks.into_iter().map(|(count, flat)| self.in_rows(flat, count)).collect()
    }

    /// Elements one behind the other as `count` rows.
    fn in_rows(&self, flat: ArrayRef, count: usize) -> Result<ArrayRef> {
        if self.lengths.is_empty() {
            return Ok(flat);
        }
        fixed_size_list_of(self.element.clone(), flat, list_size(&self.lengths)?, count)
    }

    /// Whether references tell how many bytes the elements have in heaps.
    pub fn is_in_heaps(&self, hierarchy: &Hierarchy) -> bool {
        self.has_lists || (self.has_texts && !hierarchy.decodes_texts(self.column.main_path()))
    }

    /// Bytes that each selected row has in heaps beyond what [`ColumnReader::row_bytes`] takes texts to have,
    /// as far as its references tell; none for columns that have nothing there.
    ///
    /// # Errors
    /// As [`super::array::read_array`].
    pub async fn heap_sizes_beyond(
        &self,
        context: &ReadContext,
        hierarchy: &Hierarchy,
        rows: &AxisSelection,
    ) -> Result<Vec<u64>> {
        let mut sizes = self.heap_sizes(context, hierarchy, rows).await?;
        let elements = self.trailing.iter().fold(1_u64, |total, axis| total.saturating_mul(axis.len()));
        let counted = if self.is_text { TEXT_BYTES.saturating_mul(elements) } else { 0 };
        sizes.iter_mut().for_each(|size| *size = size.saturating_sub(counted));
        Ok(sizes)
    }

    /// Bytes that each selected row has in heaps, as far as its references tell; none for columns that have
    /// nothing there.
    ///
    /// # Errors
    /// As [`super::array::read_array`].
    pub async fn heap_sizes(
        &self,
        context: &ReadContext,
        hierarchy: &Hierarchy,
        rows: &AxisSelection,
    ) -> Result<Vec<u64>> {
        let count = usize::try_from(rows.len()).map_err(|_| Error::resource_exhausted("too many rows in a window"))?;
        let (path, field) = match &self.column {
            Column::Array { path } | Column::Nullable { values: path, .. } => (path, None),
            Column::Field { path, field } => (path, Some(field)),
            _ => return Ok(vec![0; count]),
        };
        if !self.is_in_heaps(hierarchy) {
            return Ok(vec![0; count]);
        }
        let trailing = if matches!(self.column, Column::Array { .. }) { self.trailing.as_slice() } else { &[] };
        // Scattered references are many small parts of a plan, which is larger than what it reads.
        let tasks = window_tasks(context.window_bytes);
        let bounds = self.window_bounds(hierarchy.tree(), rows, u64::MAX, 1, tasks);
        let mut sizes = Vec::with_capacity(count);
        for part in windows(rows, 0..rows.len(), bounds)? {
            let rows = &rows.part(part.start, part.end - part.start);
            let caching = Caching::Keep;
            let elements =
                Elements { context, hierarchy, rows, leading: &self.leading, trailing: &self.trailing, caching };
            let ArrayValues { data_type, values: Values::Fixed(buffer), .. } = elements.values(path, trailing).await?
            else {
                return Ok(vec![0; count]);
            };
            let rows = usize::try_from(rows.len()).unwrap_or(usize::MAX);
            let row = buffer.len().checked_div(rows).unwrap_or(0).max(1);
            let data_type = field.map_or_else(|| data_type.clone(), |field| data_type.only(field));
            sizes.extend(buffer.as_slice().chunks_exact(row).map(|row| heap_bytes(&data_type, row)));
        }
        Ok(sizes)
    }
}

/// Bytes that one element is taken to need, gathered and in Arrow.
fn item_bytes(stored: &DataType, is_text: bool) -> u64 {
    stored.item_size() as u64 + if is_text { TEXT_BYTES } else { 0 }
}

/// The field of one element of the column, called `item`.
fn element_of(tree: &Tree, column: &Column) -> Result<Field> {
    match column {
        Column::Categorical { codes, categories, ordered } => {
            let key = arrow_type(&codes.stored_type(tree)?)?;
            let value = arrow_type(&tree.array(categories)?.data_type)?;
            let dictionary = ArrowType::Dictionary(Box::new(key), Box::new(value));
            Ok(Field::new("item", dictionary, true).with_dict_is_ordered(*ordered))
        }
        _ => {
            let stored = column.stored_type(tree)?;
            // A field's sub-array counts as dimensions of the column (`Column::shape`).
            let element = match (&stored, column) {
                (DataType::FixedArray { element, .. }, Column::Field { .. }) => element,
                _ => &stored,
            };
            let field = element_field("item", element).with_context(|| format!("'{}'", column.main_path()))?;
            Ok(if matches!(column, Column::Nullable { .. }) { field.with_nullable(true) } else { field })
        }
    }
}

/// The field of rows of shape `lengths` of the elements that `item` describes.
fn list_field(name: &str, item: &Field, lengths: &[u64]) -> Result<Field> {
    if lengths.is_empty() {
        return Ok(item.clone().with_name(name));
    }
    let numeric = item.data_type().is_numeric() && !item.is_nullable();
    let list = ArrowType::FixedSizeList(Arc::new(item.clone()), list_size(lengths)?);
    // Readers that make tensors drop what the items carry.
    let mut metadata = item.metadata().clone();
    if numeric {
        let shape = serde_json::json!({ "shape": lengths }).to_string();
        metadata.insert("ARROW:extension:name".to_owned(), "arrow.fixed_shape_tensor".to_owned());
        metadata.insert("ARROW:extension:metadata".to_owned(), shape);
    }
    Ok(Field::new(name, list, false).with_metadata(metadata))
}

/// The field of rows of shape `lengths`: a fixed-size list, marked as `arrow.fixed_shape_tensor` for
/// elements of a numeric type.
pub(super) fn tensor_field(name: &str, element: ArrowType, lengths: &[u64]) -> Result<Field> {
    list_field(name, &Field::new("item", element, false), lengths)
}
