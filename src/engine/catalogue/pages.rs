//! The pages of a table, one after the other, each as a batch with all columns.

use std::sync::Arc;

use arrow::record_batch::RecordBatch;
use futures::StreamExt;
use futures::stream::{self, BoxStream};

use super::rows;
use crate::error::Result;
use crate::model::criteria::{Criteria, EntryType};
use crate::model::lookup::Lookup;
use crate::model::request::RegistryTable;
use crate::registry::Registry;

/// All rows of a table; one page is read when the batch before was taken.
pub(super) fn all(registry: &Arc<Registry>, table: RegistryTable) -> BoxStream<'static, Result<RecordBatch>> {
    let start = Some((Arc::clone(registry), None));
    stream::unfold(start, move |state| async move {
        let (registry, token): (Arc<Registry>, Option<String>) = state?;
        match page(&registry, table, token).await {
            Ok((batch, next)) => Some((Ok(batch), next.map(|token| (registry, Some(token))))),
            Err(error) => Some((Err(error), None)),
        }
    })
    .boxed()
}

async fn page(
    registry: &Registry,
    table: RegistryTable,
    page_token: Option<String>,
) -> Result<(RecordBatch, Option<String>)> {
    let entries = |entry_type| Criteria {
        entry_type: Some(entry_type),
        all_versions: true,
        page_token: page_token.clone(),
        ..Criteria::default()
    };
    Ok(match table {
        RegistryTable::Artifacts => {
            let page = registry.page(&entries(EntryType::Artifact)).await?;
            (rows::artifacts(page.entries)?, page.next_page_token)
        }
        RegistryTable::Collections => {
            let page = registry.page(&entries(EntryType::Collection)).await?;
            (rows::collections(page.entries)?, page.next_page_token)
        }
        RegistryTable::Labels => {
            let page = registry.labels(&Lookup { page_token, ..Lookup::default() }).await?;
            (rows::labels(&page.entries)?, page.next_page_token)
        }
        RegistryTable::Members => {
            let page = registry.members(page_token.as_deref()).await?;
            (rows::members(&page.entries)?, page.next_page_token)
        }
    })
}
