//! Awkward arrays.

use std::sync::Arc;

use super::{Resolved, Resolver};
use crate::error::{Error, Result};
use crate::format::anndata::awkward::Awkward;
use crate::model::request::Layout;
use crate::model::selection::AxisSelection;
use crate::read::awkward::AwkwardAnswer;

impl Resolver<'_> {
    pub(super) async fn awkward(&self, awkward: Awkward) -> Result<Resolved> {
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
}
