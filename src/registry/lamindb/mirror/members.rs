//! Members of all collections, page by page.

use rusqlite::params;

use super::Mirror;
use crate::error::Result;
use crate::model::page::{Member, Part, Position};
use crate::registry::native::failure;
use crate::registry::parts;

impl Mirror {
    /// At most `limit` members of the collections that a listing shows, by key of the collection and place in it,
    /// from `after` on; without those that are hidden.
    ///
    /// # Errors
    /// `InvalidArgument` for a place that is not of members, and those of the database.
    pub(in crate::registry::lamindb) async fn members_part(
        &self,
        after: Option<Position>,
        limit: u64,
    ) -> Result<Part<Member>> {
        let (key, place) = parts::member_place(after)?;
        // Of several collections with one key the newest stands for all.
        let sql = format!(
            "SELECT c.uid, c.key, m.position, a.uid, a.key, a.version FROM collections c \
             CROSS JOIN collection_members m ON m.collection_id = c.id CROSS JOIN artifacts a ON a.id = m.artifact_id \
             WHERE c.branch = 1 AND c.is_latest = 1 AND a.branch = 1 \
             AND c.key >= ?1 AND (c.key > ?1 OR m.position > ?2) \
             AND NOT EXISTS (SELECT 1 FROM collections o WHERE o.key = c.key AND o.branch = 1 AND o.is_latest = 1 \
                AND (o.created_at, o.id) > (c.created_at, c.id)) \
             ORDER BY c.key, m.position LIMIT {}",
            limit.saturating_add(1)
        );
        self.read(move |transaction| {
            let mut statement = transaction.prepare_cached(&sql).map_err(failure::of)?;
            let rows = statement.query_map(params![key, place], parts::member).map_err(failure::of)?;
            Ok(parts::members(rows.collect::<rusqlite::Result<_>>().map_err(failure::of)?, limit))
        })
        .await
    }
}
