//! What the selectors of a request leave of each dimension of a node.

use super::Resolver;
use crate::engine::axis_table::FrameTable;
use crate::error::{Error, Result, ResultExt};
use crate::format::anndata::axes::{Axis, is_part};
use crate::format::anndata::frame::Frame;
use crate::model::request::Selector;
use crate::model::selection::AxisSelection;
use crate::select::axis::{AxisTable, NoTable, resolve};
use crate::select::numpy;

impl Resolver<'_> {
    /// The axes that the node's dimensions follow; none outside AnnData.
    pub(super) fn axes(&self) -> &'static [Axis] {
        if is_part(self.hierarchy.tree(), self.node) {
            return &[];
        }
        self.view.as_ref().map_or(&[], |view| view.axes(self.hierarchy.tree(), self.node))
    }

    pub(super) fn frame_of(&self, axis: Axis) -> Result<Frame> {
        let view = self.view.as_ref().ok_or_else(|| Error::internal("an axis without a view"))?;
        view.frame(self.hierarchy.tree(), axis)
    }

    /// The selectors of each of `shape`'s dimensions, as the request spells them.
    pub(super) fn selectors(&self, rank: usize) -> Result<Vec<Vec<Selector>>> {
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
    pub(super) async fn selection(&self, shape: &[u64]) -> Result<Vec<AxisSelection>> {
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
    pub(super) fn limited(&self, rows: AxisSelection) -> AxisSelection {
        match (self.request.offset, self.request.limit) {
            (None, None) => rows,
            (offset, limit) => rows.part(offset.unwrap_or(0), limit.unwrap_or(u64::MAX)),
        }
    }
}

/// The positions of `rows` that are in `matching`, in the order of `rows`.
pub(in crate::engine) fn intersect(rows: &AxisSelection, matching: &AxisSelection, length: u64) -> AxisSelection {
    if rows.is_all(length) {
        return matching.clone();
    }
    let matching: std::collections::HashSet<u64> = matching.positions().into_iter().collect();
    AxisSelection::Indices(rows.positions().into_iter().filter(|row| matching.contains(row)).collect())
}
