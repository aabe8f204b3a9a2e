//! The Arrow type of an awkward form.

use std::sync::Arc;

use arrow::datatypes::{DataType as ArrowType, Field, Fields};

use crate::error::{Error, Result};
use crate::format::anndata::awkward::Form;
use crate::model::tree::Tree;
use crate::read::to_arrow::arrow_type;

/// The field `name` of elements of `form`.
///
/// # Errors
/// `Unimplemented` naming what Arrow or this server has not.
pub(super) fn field(tree: &Tree, name: &str, form: &Form) -> Result<Field> {
    Ok(Field::new(name, data_type(tree, form)?, is_nullable(form)))
}

/// Whether elements of `form` may be missing.
pub(super) fn is_nullable(form: &Form) -> bool {
    match form {
        Form::Empty | Form::Masked { .. } => true,
        Form::Indexed { optional, content, .. } => *optional || is_nullable(content),
        _ => false,
    }
}

fn data_type(tree: &Tree, form: &Form) -> Result<ArrowType> {
    Ok(match form {
        Form::Empty => ArrowType::Null,
        Form::Values { data } => arrow_type(&tree.array(data)?.data_type)?,
        Form::Text { is_text: true, .. } => ArrowType::Utf8,
        Form::Text { is_text: false, .. } => ArrowType::Binary,
        Form::List { content, .. } | Form::ListRanges { content, .. } => {
            ArrowType::List(Arc::new(field(tree, "item", content)?))
        }
        Form::FixedList { size, content } => {
            let length = i32::try_from(*size)
                .map_err(|_| Error::unimplemented(format!("lists of {size} elements, more than 2^31")))?;
            ArrowType::FixedSizeList(Arc::new(field(tree, "item", content)?), length)
        }
        Form::Record { fields } => {
            let fields = fields.iter().map(|(name, form)| field(tree, name, form));
            ArrowType::Struct(fields.collect::<Result<Fields>>()?)
        }
        Form::Indexed { content, .. } | Form::Masked { content, .. } => data_type(tree, content)?,
    })
}
