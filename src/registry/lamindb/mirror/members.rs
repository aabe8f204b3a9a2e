//! Members of all collections, page by page.

use rusqlite::params;

use super::Mirror;
use crate::error::{Error, Result};
use crate::model::page::{Member, Part, Position};
use crate::registry::native::failure;

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
        let (key, place) = match after {
            None => (String::new(), -1),
            Some(Position::Member { collection, position }) => (collection, failure::signed(position, "position")?),
            Some(_) => return Err(Error::invalid("'page_token' is not of the members of collections")),
        };
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
            let rows = statement.query_map(params![key, place], |row| {
                Ok(Member {
                    collection_uid: row.get(0)?,
                    collection_key: row.get(1)?,
                    position: u64::try_from(row.get::<_, i64>(2)?).unwrap_or(0),
                    artifact_uid: row.get(3)?,
                    artifact_key: row.get(4)?,
                    version: row.get(5)?,
                })
            });
            let rows = rows.map_err(failure::of)?;
            let mut entries: Vec<Member> = rows.collect::<rusqlite::Result<_>>().map_err(failure::of)?;
            let more = entries.len() as u64 > limit;
            entries.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
            let next = entries
                .last()
                .filter(|_| more)
                .map(|last| Position::Member { collection: last.collection_key.clone(), position: last.position });
            Ok(Part { entries, next })
        })
        .await
    }
}
