//! Resolves a request on an HDF5 file or a zarr store: which node, which positions, which answer.

use std::sync::Arc;

use super::axis_table::FrameTable;
use super::listing;
use crate::error::{Error, Result, ResultExt};
use crate::format::Hierarchy;
use crate::format::anndata::awkward::Awkward;
use crate::format::anndata::axes::{Axis, is_part};
use crate::format::anndata::frame::Frame;
use crate::format::anndata::meaning::{Column, Meaning, Sparse};
use crate::format::anndata::view::{View, meaning_in};
use crate::format::dimensions::dimension_names;
use crate::model::request::{Layout, Partitioning, Selector, SliceRequest};
use crate::model::selection::AxisSelection;
use crate::model::tree::Attributes;
use crate::read::array::Caching;
use crate::read::awkward::AwkwardAnswer;
use crate::read::column::ColumnReader;
use crate::read::context::ReadContext;
use crate::read::dense::DenseAnswer;
use crate::read::frame::FrameAnswer;
use crate::read::joined::JoinedAnswer;
use crate::read::memory::MemoryAnswer;
use crate::read::nested::NestedAnswer;
use crate::read::sparse::turned::TurnedAnswer;
use crate::read::sparse::{Form, SparseAnswer};
use crate::read::wide::WideAnswer;
use crate::read::windowed::Windowed;
use crate::select::axis::{AxisTable, NoTable, resolve};
use crate::select::numpy;

/// A request resolved on a hierarchy.
#[derive(Debug)]
pub(super) struct Resolved {
    /// Path of the node, normalised.
    pub(super) node: String,
    /// The answer.
    pub(super) answer: Arc<dyn Windowed>,
    /// Shape of the node.
    pub(super) shape_before: Vec<u64>,
    /// Shape of the answer.
    pub(super) shape_after: Vec<u64>,
    /// Name of the index column of a data frame, when the answer has it.
    pub(super) index: Option<String>,
    /// Whether the answer is a data frame.
    pub(super) is_frame: bool,
    /// Attributes of the node.
    pub(super) attributes: Attributes,
    /// Names of the answer's dimensions, where the array has them.
    pub(super) dimension_names: Option<Vec<Option<String>>>,
}

/// Resolves `request` on `hierarchy`; reads the columns and names that the selectors need.
///
/// # Errors
/// Those of slice-request semantics.
pub(super) async fn resolve_request(
    context: &ReadContext,
    hierarchy: &Hierarchy,
    request: &SliceRequest,
) -> Result<Resolved> {
    let tree = hierarchy.tree();
    refuse_table_only(request)?;
    let (view, node) = View::locate(tree, &request.node);
    if view.is_none() && (!request.obs.is_empty() || !request.var.is_empty()) {
        return Err(Error::invalid("obs and var select on AnnData files, this one is none: use axes or slice"));
    }
    let found = meaning_in(view.as_ref(), tree, &node)?;
    let is_mapping = view.as_ref().is_some_and(|view| view.is_mapping(&node));
    let resolver = Resolver { context, hierarchy, request, node: &node, view };
    let mut resolved = match found {
        Meaning::Column(column) => resolver.dense(column).await?,
        Meaning::Sparse(sparse) => resolver.sparse(sparse).await?,
        Meaning::Awkward(awkward) => resolver.awkward(awkward).await?,
        Meaning::Frame(frame) => resolver.frame(&frame).await?,
        Meaning::Group if is_mapping => resolver.nested()?,
        Meaning::Group => resolver.listing()?,
    };
    resolved.attributes = tree.attributes(&node).cloned().unwrap_or_default();
    Ok(resolved)
}

pub(super) fn refuse_table_only(request: &SliceRequest) -> Result<()> {
    if request.partitioning != Partitioning::None {
        return Err(Error::invalid("partitioning applies to folders of shards"));
    }
    if request.substrait_filter.is_some() {
        return Err(Error::unimplemented("substrait filters (field 'filter') are not supported, use 'where'"));
    }
    Ok(())
}

struct Resolver<'a> {
    context: &'a ReadContext,
    hierarchy: &'a Hierarchy,
    request: &'a SliceRequest,
    node: &'a str,
    /// The AnnData around the node.
    view: Option<View>,
}

impl Resolver<'_> {
    /// The axes that the node's dimensions follow; none outside AnnData.
    fn axes(&self) -> &'static [Axis] {
        if is_part(self.hierarchy.tree(), self.node) {
            return &[];
        }
        self.view.as_ref().map_or(&[], |view| view.axes(self.node))
    }

    fn frame_of(&self, axis: Axis) -> Result<Frame> {
        let view = self.view.as_ref().ok_or_else(|| Error::internal("an axis without a view"))?;
        view.frame(self.hierarchy.tree(), axis)
    }

    /// The selectors of each of `shape`'s dimensions, as the request spells them.
    fn selectors(&self, rank: usize) -> Result<Vec<Vec<Selector>>> {
        let mut axes = match &self.request.numpy_slice {
            Some(text) => numpy::parse(text, rank)?,
            None => self.request.axes.clone(),
        };
        if axes.len() > rank {
            return Err(Error::invalid(format!(
                "node '{}' has {rank} dimensions, found {} axes",
                self.node,
                axes.len()
            )));
        }
        axes.resize(rank, Vec::new());
        for (selectors, axis) in axes.iter_mut().zip(self.axes()) {
            let named = match axis {
                Axis::Observations => &self.request.obs,
                Axis::Variables | Axis::RawVariables => &self.request.var,
            };
            selectors.extend(named.iter().cloned());
        }
        Ok(axes)
    }

    /// Evaluates the selectors of every dimension of `shape`.
    async fn selection(&self, shape: &[u64]) -> Result<Vec<AxisSelection>> {
        let mut selection = Vec::with_capacity(shape.len());
        for (dimension, (selectors, length)) in self.selectors(shape.len())?.iter().zip(shape).enumerate() {
            if selectors.is_empty() {
                selection.push(AxisSelection::all(*length));
                continue;
            }
            let table: Box<dyn AxisTable> = match self.axes().get(dimension) {
                Some(axis) => {
                    let frame = self.frame_of(*axis)?;
                    if frame.rows != *length {
                        return Err(Error::data_loss(format!(
                            "node '{}' has {length} positions on an axis of {} rows",
                            self.node, frame.rows
                        )));
                    }
                    Box::new(FrameTable::new(self.context.clone(), self.hierarchy.clone(), frame))
                }
                None => Box::new(NoTable),
            };
            let positions = resolve(selectors, *length, table.as_ref()).await;
            selection.push(positions.with_context(|| format!("axis {dimension} of '{}'", self.node))?);
        }
        Ok(selection)
    }

    /// `rows` after limit and offset.
    fn limited(&self, rows: AxisSelection) -> AxisSelection {
        match (self.request.offset, self.request.limit) {
            (None, None) => rows,
            (offset, limit) => rows.part(offset.unwrap_or(0), limit.unwrap_or(u64::MAX)),
        }
    }

    fn no_table_fields(&self) -> Result<()> {
        if self.request.columns.is_some() {
            return Err(Error::invalid(format!("columns apply to tables, '{}' is an array: use var", self.node)));
        }
        if self.request.filter.is_some() {
            return Err(Error::invalid(format!(
                "where applies to tables, '{}' is an array: use obs.where or var.where",
                self.node
            )));
        }
        Ok(())
    }

    fn name(&self) -> &str {
        let name = self.node.rsplit('/').next().unwrap_or(self.node);
        name.strip_prefix("raw.").unwrap_or(name)
    }

    fn unserved_layout(&self, form: &str) -> Error {
        Error::unimplemented(format!("layout {:?} of '{}', which is {form}", self.request.layout, self.node))
    }

    async fn dense(&self, column: Column) -> Result<Resolved> {
        self.no_table_fields()?;
        if !matches!(self.request.layout, Layout::Auto | Layout::Rows | Layout::Dense | Layout::Wide) {
            return Err(self.unserved_layout("a dense array"));
        }
        let tree = self.hierarchy.tree();
        let shape_before = column.shape(tree)?;
        let mut selection = self.selection(&shape_before).await?;
        let squeezed = self.squeezed(shape_before.len())?;
        // The first dimension that stays gives the rows.
        let row_axis = squeezed.iter().position(|squeezed| !squeezed).unwrap_or(0);
        let dropped = row_axis.min(selection.len());
        let leading: Vec<_> = selection.drain(..dropped).collect();
        if !leading.is_empty() && !matches!(column, Column::Array { .. }) {
            return Err(Error::unimplemented(format!("squeeze of '{}', which is no plain array", self.node)));
        }
        let trailing = selection.split_off(selection.len().min(1));
        let rows = self.limited(selection.pop().unwrap_or(AxisSelection::all(1)));
        let array = tree.array(column.main_path())?;
        // A matrix that is read transposed has its names in the other order.
        let is_transposed = matches!(column, Column::Transposed { .. });
        let names = dimension_names(array).filter(|names| names.len() == shape_before.len());
        let names = names.map(|mut names| {
            if is_transposed {
                names.reverse();
            }
            names
        });
        let chunk_rows = column.chunk_shape(tree)?.get(row_axis).copied().unwrap_or(1);
        let kept = |axis: usize| squeezed.get(axis).is_none_or(|squeezed| !squeezed);
        let mut shape_after = if shape_before.is_empty() { Vec::new() } else { vec![rows.len()] };
        let lengths = trailing.iter().enumerate().filter(|(at, _)| kept(row_axis + 1 + at));
        shape_after.extend(lengths.map(|(_, selection)| selection.len()));
        let element_shape = shape_after.get(1..).unwrap_or_default().to_vec();
        let columns = trailing.first().cloned();
        let reader = ColumnReader::new(tree, self.name(), column, trailing)?.behind(leading).shaped(&element_shape)?;
        let answer = Arc::new(DenseAnswer::new(self.hierarchy.clone(), reader, rows.clone(), chunk_rows));
        let answer = match columns {
            Some(columns) => self.spread(answer, row_axis + 1, &columns).await?,
            None if self.request.layout == Layout::Wide => return Err(self.unserved_layout("one-dimensional")),
            None => answer,
        };
        let answer = self.joined(answer, row_axis, rows)?;
        let names = names.filter(|_| self.request.layout != Layout::Wide);
        let names = names.map(|names| names.into_iter().enumerate().filter(|(axis, _)| kept(*axis)));
        let dimension_names = names.map(|names| names.map(|(_, name)| name).collect());
        Ok(Resolved { dimension_names, ..self.resolved(answer, shape_before, shape_after) })
    }

    /// Which dimensions a single integer drops.
    fn squeezed(&self, rank: usize) -> Result<Vec<bool>> {
        if !self.request.squeeze {
            return Ok(vec![false; rank]);
        }
        let single = |selectors: &Vec<Selector>| selectors.iter().any(|one| matches!(one, Selector::Integer(_)));
        let mut squeezed: Vec<bool> = self.selectors(rank)?.iter().map(single).collect();
        if squeezed.iter().all(|squeezed| *squeezed) {
            // A scalar still comes as one row.
            squeezed.iter_mut().take(1).for_each(|first| *first = false);
        }
        Ok(squeezed)
    }

    /// `answer` with one column per position of `columns` on dimension `axis`, when that is asked for.
    async fn spread(
        &self,
        answer: Arc<dyn Windowed>,
        axis: usize,
        columns: &AxisSelection,
    ) -> Result<Arc<dyn Windowed>> {
        if self.request.layout != Layout::Wide {
            return Ok(answer);
        }
        Ok(Arc::new(WideAnswer::new(answer, &self.column_names(axis, columns).await?)?))
    }

    /// Names of the selected columns on dimension `axis`, or their positions where it has no names.
    async fn column_names(&self, axis: usize, columns: &AxisSelection) -> Result<Vec<String>> {
        let Some(axis) = self.axes().get(axis) else {
            return Ok(columns.positions().iter().map(u64::to_string).collect());
        };
        let frame = self.frame_of(*axis)?;
        let names = FrameTable::new(self.context.clone(), self.hierarchy.clone(), frame).names().await?;
        let names = arrow::array::AsArray::as_string::<i32>(&names);
        Ok(columns.positions().iter().map(|position| names.value(*position as usize).to_owned()).collect())
    }

    async fn sparse(&self, sparse: Sparse) -> Result<Resolved> {
        self.no_table_fields()?;
        let (form, turned) = match (self.request.layout, sparse.major) {
            (Layout::Auto | Layout::Sparse, _) => (Form::Lists, false),
            (Layout::Rows, major) => (Form::Lists, major == 1),
            (Layout::Dense | Layout::Wide, major) => (Form::Dense, major == 1),
            (Layout::Coo, _) => (Form::Coordinates, false),
        };
        if self.request.squeeze {
            return Err(Error::unimplemented(format!("squeeze of '{}', a sparse matrix", self.node)));
        }
        let by_rows = turned || (sparse.major == 0 && form != Form::Coordinates);
        self.no_row_fields_unless(by_rows)?;
        let mut selection = self.selection(&sparse.shape).await?;
        let shape_before = sparse.shape.to_vec();
        if by_rows {
            selection[0] = self.limited(selection[0].clone());
        }
        let shape_after: Vec<u64> = selection.iter().map(AxisSelection::len).collect();
        let major_axis = if turned { 0 } else { sparse.major };
        let (columns, joined) = (selection[1].clone(), selection[major_axis].clone());
        let (major, minor) = (selection[sparse.major].clone(), selection[1 - sparse.major].clone());
        let (hierarchy, name) = (self.hierarchy.clone(), self.name());
        let answer: Arc<dyn Windowed> = if turned {
            Arc::new(TurnedAnswer::new(self.context, hierarchy, sparse, name, major, minor, form)?)
        } else {
            Arc::new(SparseAnswer::new(hierarchy, sparse, name, major, minor, form)?)
        };
        let answer = self.spread(answer, 1, &columns).await?;
        let answer = self.joined(answer, major_axis, joined)?;
        Ok(self.resolved(answer, shape_before, shape_after))
    }

    /// Refuses fields about rows of a sparse matrix when the answer's rows are not its rows.
    fn no_row_fields_unless(&self, by_rows: bool) -> Result<()> {
        let (node, layout) = (self.node, self.request.layout);
        if !by_rows && (self.request.limit.is_some() || self.request.offset.is_some()) {
            return Err(Error::unimplemented(format!(
                "limit or offset of '{node}' in layout {layout:?}, whose rows are not those of the matrix: use layout rows"
            )));
        }
        if layout == Layout::Coo && (self.request.with_index || !self.request.with_obs.is_empty()) {
            return Err(Error::unimplemented(format!("with_obs or with_index of '{node}' in layout {layout:?}")));
        }
        Ok(())
    }

    async fn awkward(&self, awkward: Awkward) -> Result<Resolved> {
        self.no_table_fields()?;
        if !matches!(self.request.layout, Layout::Auto | Layout::Rows) {
            return Err(self.unserved_layout("an awkward array"));
        }
        if !self.request.var.is_empty() && self.axes().len() > 1 {
            return Err(Error::unimplemented(format!("var selectors on '{}', an awkward array of rows", self.node)));
        }
        let shape_before = vec![awkward.length];
        let rows = self.selection(&shape_before).await?.pop().unwrap_or(AxisSelection::all(awkward.length));
        let rows = self.limited(rows);
        let answer = AwkwardAnswer::new(self.hierarchy.clone(), awkward, self.name(), rows.clone())?;
        let shape_after = vec![rows.len()];
        let answer = self.joined(Arc::new(answer), 0, rows)?;
        Ok(self.resolved(answer, shape_before, shape_after))
    }

    async fn frame(&self, frame: &Frame) -> Result<Resolved> {
        if self.request.layout != Layout::Auto {
            return Err(self.unserved_layout("a table"));
        }
        if self.request.with_index || !self.request.with_obs.is_empty() {
            return Err(Error::invalid(format!("with_obs and with_index join to arrays, '{}' is a table", self.node)));
        }
        let mut rows = self.rows_of_frame(frame).await?;
        if let Some(filter) = &self.request.filter {
            let table = FrameTable::new(self.context.clone(), self.hierarchy.clone(), frame.clone());
            let selectors = [Selector::Where(filter.clone())];
            let matching = resolve(&selectors, frame.rows, &table).await?;
            rows = intersect(&rows, &matching, frame.rows);
        }
        let rows = self.limited(rows);
        let names = match &self.request.columns {
            Some(names) => {
                refuse_duplicates(names)?;
                names.clone()
            }
            None => frame.columns.iter().map(|(name, _)| name.clone()).collect(),
        };
        let index = frame.index.clone().filter(|index| names.contains(index));
        let shape_before = vec![frame.rows, frame.columns.len() as u64];
        let shape_after = vec![rows.len(), names.len() as u64];
        let answer = FrameAnswer::new(self.hierarchy.clone(), frame, &names, rows, Caching::Keep)?;
        let mut resolved = self.resolved(Arc::new(answer), shape_before, shape_after);
        resolved.index = index;
        resolved.is_frame = true;
        Ok(resolved)
    }

    /// The rows that the axis selectors leave; a frame that is no axis takes positional ones.
    async fn rows_of_frame(&self, frame: &Frame) -> Result<AxisSelection> {
        let selectors = self.selectors(1)?;
        let table = FrameTable::new(self.context.clone(), self.hierarchy.clone(), frame.clone());
        match selectors.first() {
            Some(selectors) if !selectors.is_empty() => resolve(selectors, frame.rows, &table).await,
            _ => Ok(AxisSelection::all(frame.rows)),
        }
    }

    fn nested(&self) -> Result<Resolved> {
        self.no_table_fields()?;
        let answer = NestedAnswer::new(self.hierarchy.clone(), self.node, self.name())?;
        let members = answer.len() as u64;
        Ok(self.resolved(Arc::new(answer), vec![members], vec![members]))
    }

    fn listing(&self) -> Result<Resolved> {
        let batch = listing::nodes(self.hierarchy.tree(), self.node)?;
        let shape = vec![batch.num_rows() as u64, batch.num_columns() as u64];
        Ok(self.resolved(Arc::new(MemoryAnswer::new(batch)), shape.clone(), shape))
    }

    /// `answer` with the columns of `with_obs` and `with_index` before it.
    fn joined(&self, answer: Arc<dyn Windowed>, row_axis: usize, rows: AxisSelection) -> Result<Arc<dyn Windowed>> {
        if !self.request.with_index && self.request.with_obs.is_empty() {
            return Ok(answer);
        }
        let axis = self.axes().get(row_axis).copied();
        let axis = match axis {
            Some(axis) if self.request.with_obs.is_empty() || axis == Axis::Observations => axis,
            _ => {
                return Err(Error::invalid(format!(
                    "with_obs and with_index need rows that are observations, those of '{}' are not",
                    self.node
                )));
            }
        };
        let frame = self.frame_of(axis)?;
        let index = frame.index.iter().filter(|_| self.request.with_index);
        let others =
            self.request.with_obs.iter().filter(|name| !self.request.with_index || Some(*name) != frame.index.as_ref());
        let names: Vec<String> = index.chain(others).cloned().collect();
        refuse_duplicates(&names)?;
        let columns = FrameAnswer::new(self.hierarchy.clone(), &frame, &names, rows, Caching::Keep)?;
        Ok(Arc::new(JoinedAnswer::new(Arc::new(columns), answer)?))
    }

    fn resolved(&self, answer: Arc<dyn Windowed>, shape_before: Vec<u64>, shape_after: Vec<u64>) -> Resolved {
        let node = self.node.to_owned();
        let attributes = Attributes::new();
        Resolved {
            node,
            answer,
            shape_before,
            shape_after,
            index: None,
            is_frame: false,
            attributes,
            dimension_names: None,
        }
    }
}

/// The positions of `rows` that are in `matching`, in the order of `rows`.
pub(super) fn intersect(rows: &AxisSelection, matching: &AxisSelection, length: u64) -> AxisSelection {
    if rows.is_all(length) {
        return matching.clone();
    }
    let matching: std::collections::HashSet<u64> = matching.positions().into_iter().collect();
    AxisSelection::Indices(rows.positions().into_iter().filter(|row| matching.contains(row)).collect())
}

pub(super) fn refuse_duplicates(names: &[String]) -> Result<()> {
    let mut seen = std::collections::HashSet::new();
    match names.iter().find(|name| !seen.insert(name.as_str())) {
        None => Ok(()),
        Some(name) => Err(Error::invalid(format!("column '{name}' is asked for twice"))),
    }
}
