//! What every registry's own database has in common when it answers page by page: the order of a listing, where
//! a page is cut, and rows that have the same columns in each.
//!
//! Sits below `native` and `lamindb::mirror`, which write the queries. Knows no table.

use rusqlite::Row;

use super::native::failure;
use crate::error::{Error, Result};
use crate::model::criteria::Criteria;
use crate::model::page::{CollectionEntry, Entry, Member, Part, Position};

/// At most `limit` artifacts and then collections that meet the criteria, from `after` on. Each query gets the
/// place to begin behind and how many it may give.
///
/// # Errors
/// `InvalidArgument` for a place that is not of a listing, and those of the queries.
pub(super) fn listing(
    criteria: &Criteria,
    after: Option<Position>,
    limit: u64,
    artifacts: impl FnOnce(Option<Position>, u64) -> Result<Part<Entry>>,
    collections: impl FnOnce(Option<String>, u64) -> Result<Part<Entry>>,
) -> Result<Part<Entry>> {
    if limit == 0 {
        return Ok(Part::default());
    }
    let mut entries = Vec::new();
    let before = match after {
        Some(Position::Collection(before)) => before,
        Some(Position::Label(_) | Position::Member { .. }) => {
            return Err(Error::invalid("'page_token' is not of a listing"));
        }
        after => {
            if criteria.wants_artifacts() {
                let artifacts = artifacts(after, limit)?;
                entries = artifacts.entries;
                if artifacts.next.is_some() {
                    return Ok(Part { entries, next: artifacts.next });
                }
            }
            None
        }
    };
    if !criteria.wants_collections() {
        return Ok(Part { entries, next: None });
    }
    let left = limit.saturating_sub(entries.len() as u64);
    let collections = collections(before, left)?;
    entries.extend(collections.entries);
    Ok(Part { entries, next: collections.next })
}

/// Cuts what was found (one more than `limit` where there is more) down to `limit`; says whether there is more.
pub(super) fn cut<T>(found: &mut Vec<T>, limit: u64) -> bool {
    let more = found.len() as u64 > limit;
    found.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    more
}

/// Where collections go on: behind the last that was found, or where they began when there was no room for any.
pub(super) fn after_collections(
    found: &[(i64, CollectionEntry)],
    more: bool,
    after: Option<String>,
) -> Option<Position> {
    let last = found.last().map(|(_, last)| last.key.clone());
    more.then(|| Position::Collection(last.or(after)))
}

/// A collection with its row number, of the columns id, uid, key, description, created_at, created_by, members.
pub(super) fn collection(row: &Row<'_>) -> rusqlite::Result<(i64, CollectionEntry)> {
    let entry = CollectionEntry {
        uid: row.get(1)?,
        key: row.get(2)?,
        description: row.get(3)?,
        created_at: row.get(4)?,
        created_by: row.get(5)?,
        n_artifacts: u64::try_from(row.get::<_, i64>(6)?).unwrap_or(0),
        artifacts: Vec::new(),
    };
    Ok((row.get(0)?, entry))
}

/// The key of a collection and the place in it behind which a listing of members begins.
///
/// # Errors
/// `InvalidArgument` for a place that is not of members.
pub(super) fn member_place(after: Option<Position>) -> Result<(String, i64)> {
    match after {
        None => Ok((String::new(), -1)),
        Some(Position::Member { collection, position }) => Ok((collection, failure::signed(position, "position")?)),
        Some(_) => Err(Error::invalid("'page_token' is not of the members of collections")),
    }
}

/// A member, of the columns uid and key of the collection, place, and uid, key and version of the artifact.
pub(super) fn member(row: &Row<'_>) -> rusqlite::Result<Member> {
    Ok(Member {
        collection_uid: row.get(0)?,
        collection_key: row.get(1)?,
        position: u64::try_from(row.get::<_, i64>(2)?).unwrap_or(0),
        artifact_uid: row.get(3)?,
        artifact_key: row.get(4)?,
        version: row.get(5)?,
    })
}

/// One part of the members that were found, at most `limit`.
pub(super) fn members(mut entries: Vec<Member>, limit: u64) -> Part<Member> {
    let more = cut(&mut entries, limit);
    let place = |last: &Member| Position::Member { collection: last.collection_key.clone(), position: last.position };
    let next = entries.last().filter(|_| more).map(place);
    Part { entries, next }
}
