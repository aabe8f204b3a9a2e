//! Conditions on a categorical column, decided once per category and looked up by code for each row.
//!
//! Sits inside [`super::predicate`]: takes the largest parts of an expression that look at one
//! categorical column out of it, and puts a boolean column in their place. Only parts that cannot fail
//! are taken, since they are computed for categories that no row has as well.
//!
//! ```text
//! cell_type IN ('a', 'b') AND percent_mito <= 0.05   ▶   #0 AND percent_mito <= 0.05
//! #0: a ▶ true, b ▶ true, c ▶ false, null ▶ null          by code, no text per row
//! ```

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, ArrowPrimitiveType, AsArray, BooleanArray, DictionaryArray, downcast_dictionary_array,
    new_null_array,
};
use arrow::buffer::{BooleanBuffer, NullBuffer};
use arrow::compute::{cast, concat};
use arrow::datatypes::{ArrowDictionaryKeyType, ArrowNativeType, DataType, Field, Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, DFSchema, DataFusionError, ExprSchema};
use datafusion::logical_expr::{Expr, Operator};

use crate::error::{Error, Result};

/// Functions of text that cannot fail.
const SAFE_FUNCTIONS: [&str; 5] = ["contains", "ends_with", "lower", "starts_with", "upper"];

/// A part of an expression that looks at one categorical column.
#[derive(Clone, Debug)]
pub(super) struct Condition {
    /// Name of the boolean column in its place.
    pub(super) place: String,
    /// Name of the categorical column.
    pub(super) column: String,
    /// The part, over [`Condition::schema`].
    pub(super) expression: Expr,
    /// The column with the categories as its values.
    pub(super) schema: SchemaRef,
}

impl Condition {
    /// The field of the boolean column.
    pub(super) fn field(&self) -> Field {
        Field::new(&self.place, DataType::Boolean, true)
    }
}

/// `expression` with boolean columns in place of the conditions on categorical columns, and those.
///
/// # Errors
/// As DataFusion walks expressions: none of its own.
pub(super) fn taken_out(
    expression: Expr,
    schema: &DFSchema,
) -> std::result::Result<(Expr, Vec<Condition>), DataFusionError> {
    let mut conditions: Vec<Condition> = Vec::new();
    let rest = expression.transform_down(|part| {
        let Some((column, categories)) = categorical(&part, schema) else { return Ok(Transformed::no(part)) };
        // No column has such a name: a NUL is no character of SQL.
        let place = format!("\0{}", conditions.len());
        let schema = Arc::new(Schema::new(vec![Field::new(&column.name, categories, true)]));
        conditions.push(Condition { place: place.clone(), column: column.name, expression: part, schema });
        let placed = Expr::Column(Column::new_unqualified(place));
        Ok(Transformed::new(placed, true, TreeNodeRecursion::Jump))
    })?;
    Ok((rest.data, conditions))
}

/// The answer of a condition for each row of the categorical `column`; `decide` says it for values.
///
/// # Errors
/// The error of `decide`.
pub(super) fn by_code(
    condition: &Condition,
    column: &ArrayRef,
    decide: impl Fn(&RecordBatch) -> Result<BooleanArray>,
) -> Result<BooleanArray> {
    let decided = |values: ArrayRef| {
        let rows = RecordBatch::try_new(Arc::clone(&condition.schema), vec![values]);
        decide(&rows.map_err(|error| Error::internal("categories differ from their schema").with_source(error))?)
    };
    let dictionary = column.as_any_dictionary_opt().ok_or_else(|| Error::internal("a categorical has no codes"))?;
    let arrow_error = |error| Error::internal("categories cannot be computed with").with_source(error);
    let categories = dictionary.values();
    if categories.len() > column.len() {
        return decided(cast(column, categories.data_type()).map_err(arrow_error)?);
    }
    // One more value for the rows without a category.
    let null = new_null_array(categories.data_type(), 1);
    let of_category = decided(concat(&[categories.as_ref(), null.as_ref()]).map_err(arrow_error)?)?;
    let answers: Vec<Option<bool>> = of_category.iter().collect();
    let (of_null, of_code) = answers.split_last().ok_or_else(|| Error::internal("a condition gave no answer"))?;
    let column = column.as_ref();
    downcast_dictionary_array!(
        column => Ok(looked_up(column, of_code, *of_null)),
        _ => Err(Error::internal("a categorical has codes of no integer type"))
    )
}

fn looked_up<K: ArrowDictionaryKeyType>(
    column: &DictionaryArray<K>,
    of_code: &[Option<bool>],
    of_null: Option<bool>,
) -> BooleanArray {
    let codes = column.keys();
    let of_key = |key: &<K as ArrowPrimitiveType>::Native| of_code.get(key.as_usize()).copied().flatten();
    let answers: Vec<Option<bool>> = match codes.nulls() {
        None => codes.values().iter().map(of_key).collect(),
        Some(nulls) => {
            let rows = codes.values().iter().zip(nulls);
            rows.map(|(key, is_valid)| if is_valid { of_key(key) } else { of_null }).collect()
        }
    };
    let known = BooleanBuffer::collect_bool(answers.len(), |row| answers[row].is_some());
    let met = BooleanBuffer::collect_bool(answers.len(), |row| answers[row] == Some(true));
    BooleanArray::new(met, Some(NullBuffer::new(known)))
}

/// The column and the type of its categories, when `part` is a condition on one categorical column that
/// cannot fail. Categories of floats compare by rules of their own.
fn categorical(part: &Expr, schema: &DFSchema) -> Option<(Column, DataType)> {
    let is_condition = match part {
        Expr::BinaryExpr(binary) => is_logical(binary.op),
        Expr::Not(_) | Expr::InList(_) | Expr::Like(_) => true,
        Expr::IsNull(_) | Expr::IsNotNull(_) | Expr::IsTrue(_) | Expr::IsNotTrue(_) => true,
        Expr::IsFalse(_) | Expr::IsNotFalse(_) | Expr::IsUnknown(_) | Expr::IsNotUnknown(_) => true,
        Expr::ScalarFunction(function) => matches!(function.name(), "contains" | "ends_with" | "starts_with"),
        _ => false,
    };
    if !is_condition || !is_safe(part) {
        return None;
    }
    let mut columns = part.column_refs().into_iter();
    let (Some(column), None) = (columns.next(), columns.next()) else { return None };
    let field = schema.field_from_column(column).ok()?;
    let DataType::Dictionary(_, categories) = field.data_type() else { return None };
    let served = categories.is_string() || categories.is_integer() || **categories == DataType::Boolean;
    served.then(|| (column.clone(), categories.as_ref().clone()))
}

/// Whether nothing in the expression can fail.
fn is_safe(expression: &Expr) -> bool {
    let fails = expression.exists(|part| {
        let safe = match part {
            Expr::Column(_) | Expr::Literal(..) | Expr::Not(_) | Expr::InList(_) | Expr::Like(_) => true,
            Expr::IsNull(_) | Expr::IsNotNull(_) | Expr::IsTrue(_) | Expr::IsNotTrue(_) => true,
            Expr::IsFalse(_) | Expr::IsNotFalse(_) | Expr::IsUnknown(_) | Expr::IsNotUnknown(_) => true,
            Expr::BinaryExpr(binary) => is_logical(binary.op),
            Expr::ScalarFunction(function) => SAFE_FUNCTIONS.contains(&function.name()),
            _ => false,
        };
        Ok(!safe)
    });
    matches!(fails, Ok(false))
}

fn is_logical(operator: Operator) -> bool {
    use Operator::{And, Eq, Gt, GtEq, IsDistinctFrom, IsNotDistinctFrom, Lt, LtEq, NotEq, Or};
    matches!(operator, And | Or | Eq | NotEq | Lt | LtEq | Gt | GtEq | IsDistinctFrom | IsNotDistinctFrom)
}
