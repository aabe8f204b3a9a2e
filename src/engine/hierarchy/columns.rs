//! Columns around and of an answer: those of obs before it, and one per variable in it.

use std::sync::Arc;

use super::Resolver;
use crate::engine::axis_table::FrameTable;
use crate::error::{Error, Result};
use crate::format::anndata::axes::Axis;
use crate::model::request::Layout;
use crate::model::selection::AxisSelection;
use crate::read::array::Caching;
use crate::read::frame::FrameAnswer;
use crate::read::joined::JoinedAnswer;
use crate::read::wide::{WideAnswer, check_columns};
use crate::read::windowed::Windowed;
use crate::select::axis::AxisTable;

impl Resolver<'_> {
    /// `answer` with one column per position of `columns` on dimension `axis`, when that is asked for.
    pub(super) async fn spread(
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
    pub(super) async fn column_names(&self, axis: usize, columns: &AxisSelection) -> Result<Vec<String>> {
        check_columns(columns.len())?;
        let Some(axis) = self.axes().get(axis) else {
            return Ok(columns.positions().iter().map(u64::to_string).collect());
        };
        let frame = self.frame_of(*axis)?;
        let names = FrameTable::new(self.context.clone(), self.hierarchy.clone(), frame).names().await?;
        let names = arrow::array::AsArray::as_string::<i32>(&names);
        Ok(columns.positions().iter().map(|position| names.value(*position as usize).to_owned()).collect())
    }

    /// `answer` with the columns of `with_obs` and `with_index` before it.
    pub(super) fn joined(
        &self,
        answer: Arc<dyn Windowed>,
        row_axis: usize,
        rows: AxisSelection,
    ) -> Result<Arc<dyn Windowed>> {
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
}

/// Refuses a name that stands twice in `names`.
pub(in crate::engine) fn refuse_duplicates(names: &[String]) -> Result<()> {
    let mut seen = std::collections::HashSet::new();
    match names.iter().find(|name| !seen.insert(name.as_str())) {
        None => Ok(()),
        Some(name) => Err(Error::invalid(format!("column '{name}' is asked for twice"))),
    }
}
