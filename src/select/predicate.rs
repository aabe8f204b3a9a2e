//! A filter over a table's rows: SQL text (later also Substrait) to one boolean per row.
//!
//! Sits between a request's `where` and whoever holds the rows: obs and var through
//! [`super::axis`], parquet through [`crate::table`]. Says which columns it needs, so that only those
//! are read. Numbers compare as in NumPy (see `select/float.rs`); NULL counts as not met.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, BooleanBufferBuilder};
use arrow::buffer::BooleanBuffer;
use arrow::compute::prep_null_mask_filter;
use arrow::datatypes::{DataType, Schema, SchemaRef};
use arrow::record_batch::{RecordBatch, RecordBatchOptions};
use datafusion::common::{DFSchema, DataFusionError};
use datafusion::execution::context::ExecutionProps;
use datafusion::logical_expr::physical_planning_context::PhysicalPlanningContext;
use datafusion::logical_expr::simplify::SimplifyContext;
use datafusion::logical_expr::utils::split_conjunction;
use datafusion::logical_expr::{Expr, ExprSchemable};
use datafusion::optimizer::simplify_expressions::ExprSimplifier;
use datafusion::physical_expr::{PhysicalExpr, create_physical_expr};

use super::category::{self, Condition};
use super::{float, sql};
use crate::error::{Error, Result};

/// Rows evaluated together: bounds what the steps of an expression hold between them.
const ROWS_AT_A_TIME: usize = 8192;

/// A boolean expression over the columns of one schema, ready to be evaluated.
#[derive(Clone, Debug)]
pub struct Predicate {
    text: Arc<str>,
    schema: Arc<DFSchema>,
    prunable: Vec<Expr>,
    columns: Vec<String>,
    /// What is decided per category: a boolean column each for the rest.
    by_category: Vec<(Condition, Arc<dyn PhysicalExpr>)>,
    needed: SchemaRef,
    compiled: Arc<dyn PhysicalExpr>,
}

impl Predicate {
    /// The SQL boolean expression `text` over the columns of `schema`.
    ///
    /// Column names keep their case and are quoted with `"` where needed; text is quoted with `'`.
    ///
    /// # Errors
    /// `InvalidArgument` when the text does not parse, is not boolean or uses what is no plain
    /// row-by-row expression, `NotFound` for an unknown column, `Unimplemented` for the order of
    /// categories, `ResourceExhausted` beyond the bounds of the text.
    pub fn parse(text: &str, schema: SchemaRef) -> Result<Self> {
        let named = Arc::new(named_schema(&schema)?);
        let explain = |error: DataFusionError| sql::explain(error, text, &named);
        let expression = float::as_numpy(sql::parse(text, &named)?, &named)?;
        let context = SimplifyContext::builder().with_schema(Arc::clone(&named)).build();
        let simplifier = ExprSimplifier::new(context);
        let prunable = split_conjunction(&expression)
            .into_iter()
            .filter(|condition| float::prunable(condition, &named))
            .map(|condition| simplifier.simplify(simplifier.coerce(condition.clone(), &named)?))
            .collect::<Result<Vec<_>, _>>()
            .map_err(explain)?;
        let (expression, conditions) = category::taken_out(expression, &named).map_err(explain)?;
        let by_category = conditions.into_iter().map(|condition| decided(condition).map_err(explain));
        let by_category = by_category.collect::<Result<Vec<_>>>()?;
        let (plain, columns_of_table) = (schema, Arc::clone(&named));
        let schema = with_conditions(&plain, &by_category);
        let named = Arc::new(named_schema(&schema)?);
        let simplifier = ExprSimplifier::new(SimplifyContext::builder().with_schema(Arc::clone(&named)).build());
        let expression = simplifier.coerce(expression, &named).map_err(explain)?;
        let found = expression.get_type(named.as_ref()).map_err(explain)?;
        if found != DataType::Boolean {
            return Err(Error::invalid(format!("expression is {found}, expected Boolean: {}", sql::shown(text))));
        }
        let expression = simplifier.simplify(expression).map_err(explain)?;
        let expression = simplifier.coerce(expression, &named).map_err(explain)?;
        let needed = needed_schema(&expression, &schema);
        let compiled = compile(&expression, &named_schema(&needed)?).map_err(explain)?;
        let is_needed = |name: &String| {
            let of_category = |(condition, _): &(Condition, _)| condition.column == *name;
            needed.field_with_name(name).is_ok() || by_category.iter().any(of_category)
        };
        let columns = plain.fields().iter().map(|field| field.name().clone()).filter(is_needed).collect();
        Ok(Self { text: text.into(), schema: columns_of_table, prunable, columns, by_category, needed, compiled })
    }

    /// The Substrait `ExtendedExpression` in `bytes` over the columns of `schema`.
    ///
    /// # Errors
    /// `Unimplemented`: only SQL text is understood so far.
    pub fn from_substrait(bytes: &[u8], _schema: SchemaRef) -> Result<Self> {
        let size = bytes.len();
        Err(Error::unimplemented(format!("substrait filter ({size} bytes): write the filter as SQL text")))
    }

    /// Names of the columns it needs, in the schema's order; none for a constant.
    pub fn columns(&self) -> &[String] {
        &self.columns
    }

    /// One boolean per row of `batch`, without nulls: whether the row meets the filter. `batch` holds
    /// at least [`Predicate::columns`], with the types of the schema it was parsed with.
    ///
    /// # Errors
    /// `InvalidArgument` when the rows' values cannot be computed with (division by zero, a cast that
    /// fails); `Internal` when `batch` lacks a column.
    pub fn evaluate(&self, batch: &RecordBatch) -> Result<BooleanArray> {
        let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        let columns =
            self.needed.fields().iter().map(|field| self.column(batch, field.name())).collect::<Result<_>>()?;
        let needed = RecordBatch::try_new_with_options(Arc::clone(&self.needed), columns, &options)
            .map_err(|error| Error::internal("rows differ from the filter's schema").with_source(error))?;
        let mut met = BooleanBufferBuilder::new(needed.num_rows());
        for start in (0..needed.num_rows()).step_by(ROWS_AT_A_TIME) {
            let rows = needed.slice(start, ROWS_AT_A_TIME.min(needed.num_rows() - start));
            met.append_buffer(&self.evaluate_some(&rows)?);
        }
        Ok(BooleanArray::new(met.finish(), None))
    }

    /// A column of the table, or the answers of a condition on one.
    fn column(&self, batch: &RecordBatch, name: &str) -> Result<ArrayRef> {
        match self.by_category.iter().find(|(condition, _)| condition.place == name) {
            None => column_of(batch, name),
            Some((condition, compiled)) => {
                let codes = column_of(batch, &condition.column)?;
                let decide = |categories: &RecordBatch| self.booleans(compiled, categories);
                Ok(Arc::new(category::by_code(condition, &codes, decide)?))
            }
        }
    }

    fn booleans(&self, compiled: &Arc<dyn PhysicalExpr>, rows: &RecordBatch) -> Result<BooleanArray> {
        let values = compiled
            .evaluate(rows)
            .and_then(|value| value.into_array(rows.num_rows()))
            .map_err(|error| sql::explain(error, &self.text, &self.schema))?;
        values.as_boolean_opt().cloned().ok_or_else(|| Error::internal("filter gave no booleans"))
    }

    fn evaluate_some(&self, rows: &RecordBatch) -> Result<BooleanBuffer> {
        let met = self.booleans(&self.compiled, rows)?;
        Ok(if met.null_count() == 0 { met.values().clone() } else { prep_null_mask_filter(&met).values().clone() })
    }

    /// Conditions that every row of the answer meets and that cannot fail, by which rows may be left out
    /// before the whole filter is evaluated. Column indices count in the schema it was parsed with.
    ///
    /// # Errors
    /// `Internal` when a condition cannot be compiled alone.
    pub(crate) fn prunable_conditions(&self) -> Result<Vec<Arc<dyn PhysicalExpr>>> {
        let explain = |error| sql::explain(error, &self.text, &self.schema);
        self.prunable.iter().map(|condition| compile(condition, &self.schema).map_err(explain)).collect()
    }
}

fn compile(expression: &Expr, schema: &DFSchema) -> datafusion::common::Result<Arc<dyn PhysicalExpr>> {
    create_physical_expr(expression, schema, &ExecutionProps::new(), &PhysicalPlanningContext::default())
}

/// A condition compiled for the values of its categories.
fn decided(condition: Condition) -> datafusion::common::Result<(Condition, Arc<dyn PhysicalExpr>)> {
    let schema = Arc::new(DFSchema::try_from(Arc::clone(&condition.schema))?);
    let simplifier = ExprSimplifier::new(SimplifyContext::builder().with_schema(Arc::clone(&schema)).build());
    let expression = simplifier.coerce(condition.expression.clone(), &schema)?;
    let compiled = compile(&expression, &schema)?;
    Ok((condition, compiled))
}

/// The table's columns, and those that stand for conditions.
fn with_conditions(schema: &SchemaRef, conditions: &[(Condition, Arc<dyn PhysicalExpr>)]) -> SchemaRef {
    let conditions = conditions.iter().map(|(condition, _)| Arc::new(condition.field()));
    Arc::new(Schema::new(schema.fields().iter().map(Arc::clone).chain(conditions).collect::<Vec<_>>()))
}

/// The schema under names that must be unique.
fn named_schema(schema: &SchemaRef) -> Result<DFSchema> {
    DFSchema::try_from(Arc::clone(schema)).map_err(|error| {
        Error::invalid(format!("the table's columns cannot be named: {}", error.strip_backtrace())).with_source(error)
    })
}

fn needed_schema(expression: &Expr, schema: &SchemaRef) -> SchemaRef {
    let used = expression.column_refs();
    let is_used = |name: &str| used.iter().any(|column| column.name == name);
    let fields: Vec<_> = schema.fields().iter().filter(|field| is_used(field.name())).map(Arc::clone).collect();
    Arc::new(Schema::new(fields))
}

fn column_of(batch: &RecordBatch, name: &str) -> Result<ArrayRef> {
    batch
        .column_by_name(name)
        .map(Arc::clone)
        .ok_or_else(|| Error::internal(format!("rows lack the column {name:?} that the filter needs")))
}

#[cfg(test)]
mod tests;
