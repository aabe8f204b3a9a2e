//! Sparse matrices: which form the layout gives them, and whether they are turned for it.

use super::indexed::Direct;
use super::{Resolved, Resolver};
use crate::error::{Error, Result};
use crate::format::anndata::meaning::Sparse;
use crate::model::request::Layout;
use crate::model::selection::AxisSelection;
use crate::read::sparse::turned::TurnedAnswer;
use crate::read::sparse::{Form, SparseAnswer, check_minor};

impl Resolver<'_> {
    pub(super) async fn sparse(&self, sparse: Sparse) -> Result<Resolved> {
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
        let matrix = sparse.clone();
        let direct = if turned {
            Direct::Turned(TurnedAnswer::new(self.context, hierarchy, sparse, name, major, minor, form)?)
        } else {
            check_minor(self.context, &minor, sparse.shape[1 - sparse.major])?;
            Direct::Stored(SparseAnswer::new(hierarchy, sparse, name, major, minor, form)?)
        };
        let (answer, indexed) = self.indexed(direct, &matrix, &selection, form).await?;
        let answer = self.spread(answer, 1, &columns).await?;
        let answer = self.joined(answer, major_axis, joined)?;
        Ok(Resolved { columns: indexed, ..self.resolved(answer, shape_before, shape_after) })
    }

    /// Refuses fields about rows of a sparse matrix when the answer's rows are not its rows.
    pub(super) fn no_row_fields_unless(&self, by_rows: bool) -> Result<()> {
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
}
