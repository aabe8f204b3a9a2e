//! The tables of joined axes, for filters and names.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, StringArray};
use arrow::datatypes::{DataType as ArrowType, Field, Schema, SchemaRef};
use arrow::record_batch::{RecordBatch, RecordBatchOptions};
use async_trait::async_trait;
use futures::stream::{self, StreamExt, TryStreamExt};

use super::axis::JoinedAxis;
use super::columns::{self, Plan};
use super::member::{Member, Members};
use crate::engine::axis_table::FrameTable;
use crate::error::{Error, Result, ResultExt};
use crate::model::request::Join;
use crate::read::context::ReadContext;
use crate::read::united::columns::UnitedColumn;
use crate::select::axis::AxisTable;

/// Members whose columns are read at the same time.
const READING: usize = 8;

/// Longest joined axis whose columns are read whole to evaluate a filter, in rows.
const MAX_ROWS: u64 = 200_000_000;

/// The observations of all members.
#[derive(Debug)]
pub(super) struct ObservationsTable<'a> {
    context: &'a ReadContext,
    members: &'a Members,
    plans: Vec<Plan>,
    schema: SchemaRef,
}

impl<'a> ObservationsTable<'a> {
    /// The table of the columns that `join` leaves. Those that cannot be united are left out: a filter
    /// that names one is refused as an unknown column.
    ///
    /// # Errors
    /// As [`columns::names`].
    pub(super) fn new(context: &'a ReadContext, members: &'a Members, join: Join) -> Result<Self> {
        let names = columns::names(members, join)?;
        let plans: Vec<Plan> = names.iter().filter_map(|name| Plan::new(members, name).ok()).collect();
        let fields: Vec<Field> = plans.iter().map(|plan| plan.unread(members).field).collect();
        Ok(Self { context, members, plans, schema: Arc::new(Schema::new(fields)) })
    }

    /// The columns of `plans` of the member at `at`.
    async fn of_member(&self, at: usize, member: &Member, plans: &[&Plan]) -> Result<RecordBatch> {
        let own: Vec<String> = plans.iter().filter_map(|plan| plan.own(at).map(str::to_owned)).collect();
        let batch = if own.is_empty() {
            None
        } else {
            let table = FrameTable::new(self.context.clone(), member.hierarchy.clone(), member.obs.clone());
            Some(table.columns(&own).await.with_context(|| member.named())?)
        };
        let rows = usize::try_from(member.obs.rows).map_err(|_| Error::resource_exhausted("too many observations"))?;
        let columns: Vec<UnitedColumn> = plans.iter().map(|plan| plan.unread(self.members)).collect();
        let given = batch.as_ref().map_or(&[][..], |batch| batch.columns());
        let arrays = plans.iter().zip(&columns).map(|(plan, column)| {
            let source = plan.source(at, &own, None)?;
            column.of(&source, given, rows)
        });
        let arrays = arrays.collect::<Result<Vec<_>>>().with_context(|| member.named())?;
        let fields: Vec<Field> = columns.into_iter().map(|column| column.field).collect();
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), arrays, &options).map_err(unjoined)
    }
}

#[async_trait]
impl AxisTable for ObservationsTable<'_> {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    async fn names(&self) -> Result<ArrayRef> {
        let reads = self.members.all().iter().map(|member| async move {
            let table = FrameTable::new(self.context.clone(), member.hierarchy.clone(), member.obs.clone());
            table.names().await.with_context(|| member.named())
        });
        let lists: Vec<ArrayRef> = stream::iter(reads.collect::<Vec<_>>()).buffered(READING).try_collect().await?;
        let lists: Vec<&StringArray> = lists.iter().filter_map(|list| list.as_string_opt::<i32>()).collect();
        // Names of all members together may be longer than offsets of 32 bits tell.
        let names = lists.iter().flat_map(|list| list.iter());
        Ok(Arc::new(names.collect::<arrow::array::LargeStringArray>()))
    }

    async fn columns(&self, names: &[String]) -> Result<RecordBatch> {
        let rows = self.members.rows();
        if rows > MAX_ROWS {
            let message = format!("{rows} joined observations, more than the {MAX_ROWS} that a filter may look at");
            return Err(Error::resource_exhausted(message));
        }
        let plan = |name: &String| self.plans.iter().find(|plan| plan.name == *name);
        let plans: Option<Vec<&Plan>> = names.iter().map(plan).collect();
        let plans = plans.ok_or_else(|| Error::internal("a filter names a column that is not in the table"))?;
        let reads: Vec<_> =
            self.members.all().iter().enumerate().map(|(at, member)| self.of_member(at, member, &plans)).collect();
        let batches: Vec<RecordBatch> = stream::iter(reads).buffered(READING).try_collect().await?;
        let schema = batches.first().map(RecordBatch::schema).ok_or_else(|| Error::internal("no members"))?;
        let together = move || arrow::compute::concat_batches(&schema, &batches).map_err(unjoined);
        self.context.decode(together).await
    }
}

/// Joined variables: names, and no columns besides.
#[derive(Debug)]
pub(super) struct VariablesTable<'a>(pub(super) &'a JoinedAxis);

impl VariablesTable<'_> {
    /// The table as one batch: the index.
    pub(super) fn batch(&self) -> Result<RecordBatch> {
        let field = Field::new(&self.0.index, ArrowType::Utf8, false);
        RecordBatch::try_new(Arc::new(Schema::new(vec![field])), vec![Arc::clone(&self.0.names)]).map_err(unjoined)
    }
}

#[async_trait]
impl AxisTable for VariablesTable<'_> {
    fn schema(&self) -> SchemaRef {
        Arc::new(Schema::new(vec![Field::new(&self.0.index, ArrowType::Utf8, false)]))
    }

    async fn names(&self) -> Result<ArrayRef> {
        Ok(Arc::clone(&self.0.names))
    }

    async fn columns(&self, _names: &[String]) -> Result<RecordBatch> {
        self.batch()
    }
}

fn unjoined(error: arrow::error::ArrowError) -> Error {
    Error::internal("columns of members do not form a table").with_source(error)
}
