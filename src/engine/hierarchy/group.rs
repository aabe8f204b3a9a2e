//! Groups: mappings as one value, others as the table of their nodes.

use std::sync::Arc;

use super::{Resolved, Resolver};
use crate::engine::listing;
use crate::error::Result;
use crate::read::memory::MemoryAnswer;
use crate::read::nested::NestedAnswer;

impl Resolver<'_> {
    pub(super) fn nested(&self) -> Result<Resolved> {
        self.no_table_fields()?;
        self.hierarchy.tree().check_listed(self.node)?;
        let answer = NestedAnswer::new(self.hierarchy.clone(), self.node, self.name())?;
        let members = answer.len() as u64;
        Ok(self.resolved(Arc::new(answer), vec![members], vec![members]))
    }

    pub(super) fn listing(&self) -> Result<Resolved> {
        self.hierarchy.tree().check_listed(self.node)?;
        let batch = listing::nodes(self.hierarchy.tree(), self.node)?;
        let shape = vec![batch.num_rows() as u64, batch.num_columns() as u64];
        Ok(self.resolved(Arc::new(MemoryAnswer::new(batch)), shape.clone(), shape))
    }
}
