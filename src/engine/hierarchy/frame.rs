//! Data frames.

use std::sync::Arc;

use super::columns::refuse_duplicates;
use super::selection::intersect;
use super::{Resolved, Resolver};
use crate::engine::axis_table::FrameTable;
use crate::error::{Error, Result};
use crate::format::anndata::frame::Frame;
use crate::model::request::{Layout, Selector};
use crate::model::selection::AxisSelection;
use crate::read::array::Caching;
use crate::read::frame::FrameAnswer;
use crate::select::axis::resolve;

impl Resolver<'_> {
    pub(super) async fn frame(&self, frame: &Frame) -> Result<Resolved> {
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

    /// The rows that the selectors leave. A frame that follows an axis, one in obsm for example, is selected by
    /// the table of that axis, any other by its own columns.
    pub(super) async fn rows_of_frame(&self, frame: &Frame) -> Result<AxisSelection> {
        if !self.axes().is_empty() {
            let rows = self.selection(&[frame.rows]).await?.pop();
            return Ok(rows.unwrap_or_else(|| AxisSelection::all(frame.rows)));
        }
        let selectors = self.selectors(1)?;
        let table = FrameTable::new(self.context.clone(), self.hierarchy.clone(), frame.clone());
        match selectors.first() {
            Some(selectors) if !selectors.is_empty() => resolve(selectors, frame.rows, &table).await,
            _ => Ok(AxisSelection::all(frame.rows)),
        }
    }
}
