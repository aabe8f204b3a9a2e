//! Resolves a request on the members of a collection: which node, which positions.

use std::sync::Arc;

use super::member::Members;
use super::table::{ObservationsTable, VariablesTable};
use super::{columns, frame};
use crate::engine::hierarchy::{Resolved, refuse_duplicates, refuse_table_only};
use crate::error::{Error, Result, ResultExt};
use crate::format::anndata::axes::{Axis, axes_of};
use crate::model::request::{Join, Layout, Selector, SliceRequest};
use crate::model::selection::AxisSelection;
use crate::model::tree::{Attributes, normalise};
use crate::read::context::ReadContext;
use crate::read::joined::JoinedAnswer;
use crate::read::united::order::{Order, Part};
use crate::read::windowed::Windowed;
use crate::select::axis::{AxisTable, resolve as positions};
use crate::select::numpy;

/// Resolves `request` on `members`; reads the names and columns that the selectors need, the names of
/// variables, and the categories of asked columns.
///
/// # Errors
/// Those of slice-request semantics, and `Unimplemented` for nodes that are not joined.
pub(super) async fn resolve(context: &ReadContext, members: &Members, request: &SliceRequest) -> Result<Resolved> {
    refuse_table_only(request)?;
    if request.squeeze {
        return Err(Error::unimplemented("squeeze of joined AnnData: select one position, which keeps its axis"));
    }
    let node = match normalise(&request.node) {
        empty if empty.is_empty() => "obs".to_owned(),
        path => path,
    };
    let resolver = Resolver { context, members, request, node: &node, join: request.join.unwrap_or_default() };
    let parts: Vec<&str> = node.split('/').collect();
    match parts.as_slice() {
        ["obs"] => resolver.observations().await,
        ["obs", column] => resolver.column(column).await,
        ["var"] => resolver.variables(Axis::Variables).await,
        ["raw", "var"] | ["raw.var"] => resolver.variables(Axis::RawVariables).await,
        ["X"] | ["layers" | "obsm", _] | ["raw", "X"] | ["raw.X"] => resolver.matrix().await,
        _ => Err(Error::unimplemented(format!(
            "node '{node}' of joined AnnData: obs, var, X, layers/…, obsm/…, raw/X and raw/var are joined"
        ))),
    }
}

/// A request on one node of the joined AnnData.
pub(super) struct Resolver<'a> {
    pub(super) context: &'a ReadContext,
    pub(super) members: &'a Members,
    pub(super) request: &'a SliceRequest,
    pub(super) node: &'a str,
    pub(super) join: Join,
}

impl Resolver<'_> {
    /// The node's last part, which names its value column.
    pub(super) fn name(&self) -> &str {
        let name = self.node.rsplit('/').next().unwrap_or(self.node);
        name.strip_prefix("raw.").unwrap_or(name)
    }

    /// The selectors of each of the node's dimensions, as the request spells them.
    pub(super) fn selectors(&self, rank: usize) -> Result<Vec<Vec<Selector>>> {
        let mut axes = match &self.request.numpy_slice {
            Some(text) => numpy::parse(text, rank)?,
            None => self.request.axes.clone(),
        };
        if axes.len() > rank {
            let found = axes.len();
            return Err(Error::invalid(format!("node '{}' has {rank} dimensions, found {found} axes", self.node)));
        }
        axes.resize(rank, Vec::new());
        for (selectors, axis) in axes.iter_mut().zip(axes_of(self.node)) {
            let named = match axis {
                Axis::Observations => &self.request.obs,
                Axis::Variables | Axis::RawVariables => &self.request.var,
            };
            selectors.extend(named.iter().cloned());
        }
        Ok(axes)
    }

    /// The observations that `selectors` leave.
    pub(super) async fn rows(&self, selectors: &[Selector]) -> Result<AxisSelection> {
        let total = self.members.rows();
        if selectors.is_empty() {
            return Ok(AxisSelection::all(total));
        }
        let table = ObservationsTable::new(self.context, self.members, self.join)?;
        positions(selectors, total, &table).await.with_context(|| format!("axis 0 of '{}'", self.node))
    }

    /// The positions that `selectors` leave of axis `axis` of `length`.
    pub(super) async fn columns(
        &self,
        axis: usize,
        selectors: &[Selector],
        length: u64,
        table: &dyn AxisTable,
    ) -> Result<AxisSelection> {
        positions(selectors, length, table).await.with_context(|| format!("axis {axis} of '{}'", self.node))
    }

    /// `rows` after limit and offset.
    pub(super) fn limited(&self, rows: AxisSelection) -> AxisSelection {
        match (self.request.offset, self.request.limit) {
            (None, None) => rows,
            (offset, limit) => rows.part(offset.unwrap_or(0), limit.unwrap_or(u64::MAX)),
        }
    }

    /// The members that give `rows`.
    pub(super) fn split(&self, rows: &AxisSelection) -> Result<(Order, Vec<Part>)> {
        Order::split(rows, &self.members.lengths())
    }

    /// Refuses fields about columns of tables.
    pub(super) fn no_table_fields(&self) -> Result<()> {
        if self.request.columns.is_some() {
            return Err(Error::invalid(format!("columns apply to tables, '{}' is an array: use var", self.node)));
        }
        if self.request.filter.is_some() {
            let message = format!("where applies to tables, '{}' is an array: use obs.where or var.where", self.node);
            return Err(Error::invalid(message));
        }
        Ok(())
    }

    pub(super) fn unserved_layout(&self, form: &str) -> Error {
        Error::unimplemented(format!("layout {:?} of joined '{}', which is {form}", self.request.layout, self.node))
    }

    /// `answer` with the columns of `with_obs` and `with_index` before it; both have the same rows.
    pub(super) async fn with_columns(
        &self,
        answer: Arc<dyn Windowed>,
        order: &Order,
        parts: &[Part],
    ) -> Result<Arc<dyn Windowed>> {
        if !self.request.with_index && self.request.with_obs.is_empty() {
            return Ok(answer);
        }
        let index = columns::index(self.members);
        let first = self.request.with_index.then(|| index.clone());
        let others = self.request.with_obs.iter().filter(|name| !self.request.with_index || **name != index);
        let names: Vec<String> = first.into_iter().chain(others.cloned()).collect();
        refuse_duplicates(&names)?;
        let table = frame::columns_answer(self.context, self.members, self.join, &names, order, parts).await?;
        Ok(Arc::new(JoinedAnswer::new(table, answer)?))
    }

    pub(super) fn resolved(&self, answer: Arc<dyn Windowed>, before: Vec<u64>, after: Vec<u64>) -> Resolved {
        Resolved {
            node: self.node.to_owned(),
            answer,
            shape_before: before,
            shape_after: after,
            index: None,
            is_frame: false,
            attributes: Attributes::new(),
            dimension_names: None,
            columns: None,
        }
    }

    /// Refuses the layouts and fields of arrays.
    pub(super) fn only_table_fields(&self) -> Result<()> {
        if self.request.layout != Layout::Auto {
            return Err(self.unserved_layout("a table"));
        }
        if self.request.with_index || !self.request.with_obs.is_empty() {
            return Err(Error::invalid(format!("with_obs and with_index join to arrays, '{}' is a table", self.node)));
        }
        Ok(())
    }

    /// The variables: an index without columns, as nothing tells which member's would hold.
    async fn variables(&self, axis: Axis) -> Result<Resolved> {
        self.only_table_fields()?;
        let joined = self.members.axis(self.context, axis, self.join).await?;
        let table = VariablesTable(&joined);
        let selectors = self.selectors(1)?;
        let mut rows = self.columns(0, selectors.first().map_or(&[], Vec::as_slice), joined.len(), &table).await?;
        if let Some(filter) = &self.request.filter {
            let matching = positions(&[Selector::Where(filter.clone())], joined.len(), &table).await?;
            rows = crate::engine::hierarchy::intersect(&rows, &matching, joined.len());
        }
        let rows = self.limited(rows);
        let names = self.request.columns.clone().unwrap_or_else(|| vec![joined.index.clone()]);
        if let Some(unknown) = names.iter().find(|name| **name != joined.index) {
            return Err(Error::not_found(format!(
                "no column '{unknown}' in '{}'; joined variables have [{}]",
                self.node, joined.index
            )));
        }
        refuse_duplicates(&names)?;
        let batch = frame::taken(&table.batch()?, &rows)?.project(&(0..names.len()).collect::<Vec<_>>());
        let batch = batch.map_err(|error| Error::internal("columns of variables").with_source(error))?;
        let (before, after) = (vec![joined.len(), 1], vec![rows.len(), names.len() as u64]);
        let mut resolved = self.resolved(Arc::new(crate::read::memory::MemoryAnswer::new(batch)), before, after);
        resolved.index = (!names.is_empty()).then(|| joined.index.clone());
        resolved.is_frame = true;
        Ok(resolved)
    }
}
