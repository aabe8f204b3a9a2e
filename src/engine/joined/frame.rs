//! The joined observations as a table, and its columns before the rows of a matrix.

use std::sync::Arc;

use arrow::array::{ArrayRef, UInt64Array};
use arrow::record_batch::{RecordBatch, RecordBatchOptions};
use futures::stream::{self, StreamExt, TryStreamExt};

use super::columns::{self, Plan, Ready};
use super::member::Members;
use super::resolve::Resolver;
use super::table::ObservationsTable;
use crate::engine::hierarchy::{Resolved, intersect, refuse_duplicates};
use crate::error::{Error, Result, ResultExt};
use crate::model::request::{Join, Layout, Selector};
use crate::model::selection::AxisSelection;
use crate::read::array::Caching;
use crate::read::context::ReadContext;
use crate::read::frame::FrameAnswer;
use crate::read::united::columns::{ColumnsAnswer, UnitedColumn, empty};
use crate::read::united::concat::{ConcatAnswer, MemberAnswer};
use crate::read::united::order::{Order, Part};
use crate::read::windowed::Windowed;
use crate::select::axis::resolve as positions;

impl Resolver<'_> {
    /// The observations.
    pub(super) async fn observations(&self) -> Result<Resolved> {
        self.only_table_fields()?;
        let selectors = self.selectors(1)?;
        let mut rows = self.rows(selectors.first().map_or(&[], Vec::as_slice)).await?;
        if let Some(filter) = &self.request.filter {
            let table = ObservationsTable::new(self.context, self.members, self.join)?;
            let matching = positions(&[Selector::Where(filter.clone())], self.members.rows(), &table).await?;
            rows = intersect(&rows, &matching, self.members.rows());
        }
        let rows = self.limited(rows);
        let all = columns::names(self.members, self.join)?;
        let names = self.request.columns.clone().unwrap_or_else(|| all.clone());
        refuse_duplicates(&names)?;
        let (order, parts) = self.split(&rows)?;
        let answer = columns_answer(self.context, self.members, self.join, &names, &order, &parts).await?;
        let (before, after) = (vec![self.members.rows(), all.len() as u64], vec![rows.len(), names.len() as u64]);
        let mut resolved = self.resolved(answer, before, after);
        resolved.index = Some(columns::index(self.members)).filter(|index| names.contains(index));
        resolved.is_frame = true;
        Ok(resolved)
    }

    /// One column of the observations as an array.
    pub(super) async fn column(&self, name: &str) -> Result<Resolved> {
        self.no_table_fields()?;
        if !matches!(self.request.layout, Layout::Auto | Layout::Rows | Layout::Dense) {
            return Err(self.unserved_layout("one-dimensional"));
        }
        let selectors = self.selectors(1)?;
        let rows = self.limited(self.rows(selectors.first().map_or(&[], Vec::as_slice)).await?);
        let (order, parts) = self.split(&rows)?;
        let names = [name.to_owned()];
        let answer = columns_answer(self.context, self.members, self.join, &names, &order, &parts).await?;
        let answer = self.with_columns(answer, &order, &parts).await?;
        Ok(self.resolved(answer, vec![self.members.rows()], vec![rows.len()]))
    }
}

/// The columns `names` of the joined observations, of the rows of `order`.
///
/// # Errors
/// `NotFound` for a missing column, `Unimplemented` for one that cannot be united, and the errors of
/// reading categories.
pub(super) async fn columns_answer(
    context: &ReadContext,
    members: &Members,
    join: Join,
    names: &[String],
    order: &Order,
    parts: &[Part],
) -> Result<Arc<dyn Windowed>> {
    let all = columns::names(members, join)?;
    if let Some(unknown) = names.iter().find(|name| !all.contains(name)) {
        let shown: Vec<_> = all.iter().take(50).map(String::as_str).collect();
        return Err(Error::not_found(format!("no column '{unknown}' in joined 'obs'; it has [{}]", shown.join(", "))));
    }
    let plans = names.iter().map(|name| Plan::new(members, name)).collect::<Result<Vec<_>>>()?;
    // One after the other: each reads the members at once.
    let ready: Vec<Ready> = stream::iter(plans.iter().map(|plan| plan.read(context, members)).collect::<Vec<_>>())
        .buffered(1)
        .try_collect()
        .await?;
    let united: Arc<[UnitedColumn]> = ready.iter().map(|ready| ready.column.clone()).collect();
    let mut answers = Vec::with_capacity(parts.len());
    for (at, rows) in parts {
        let member = members.all().get(*at).ok_or_else(|| Error::internal("no such member"))?;
        let own: Vec<String> = plans.iter().filter_map(|plan| plan.own(*at).map(str::to_owned)).collect();
        let frame = FrameAnswer::new(member.hierarchy.clone(), &member.obs, &own, rows.clone(), Caching::Keep);
        let frame = frame.with_context(|| member.named())?;
        let sources = plans.iter().zip(&ready).map(|(plan, ready)| plan.source(*at, &own, ready.categories.as_deref()));
        let sources = sources.collect::<Result<Vec<_>>>()?;
        let answer = Arc::new(ColumnsAnswer::new(Arc::new(frame), Arc::clone(&united), sources));
        answers.push(MemberAnswer { name: member.artifact.key.clone(), answer });
    }
    Ok(Arc::new(ConcatAnswer::new(answers, order.clone(), empty(&united)?)))
}

/// The selected rows of a batch.
pub(super) fn taken(batch: &RecordBatch, rows: &AxisSelection) -> Result<RecordBatch> {
    if rows.is_all(batch.num_rows() as u64) {
        return Ok(batch.clone());
    }
    let places = UInt64Array::from(rows.positions());
    let take = |column: &ArrayRef| arrow::compute::take(column, &places, None);
    let columns = batch.columns().iter().map(take).collect::<std::result::Result<Vec<_>, _>>();
    let options = RecordBatchOptions::new().with_row_count(usize::try_from(rows.len()).ok());
    columns
        .and_then(|columns| RecordBatch::try_new_with_options(batch.schema(), columns, &options))
        .map_err(|error| Error::internal("rows of a table in memory").with_source(error))
}
