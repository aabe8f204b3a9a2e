//! Dense arrays: which dimension gives the rows, what the others keep.

use std::sync::Arc;

use super::{Resolved, Resolver};
use crate::error::{Error, Result};
use crate::format::anndata::meaning::Column;
use crate::format::dimensions::dimension_names;
use crate::model::request::{Layout, Selector};
use crate::model::selection::AxisSelection;
use crate::read::column::ColumnReader;
use crate::read::dense::DenseAnswer;

impl Resolver<'_> {
    pub(super) async fn dense(&self, column: Column) -> Result<Resolved> {
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
    pub(super) fn squeezed(&self, rank: usize) -> Result<Vec<bool>> {
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
}
