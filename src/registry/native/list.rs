//! Listing artifacts and collections, page by page.

use std::collections::HashMap;

use rusqlite::{Transaction, params_from_iter, types::Value};

use super::artifact;
use super::query::{Query, containing, end_of};
use super::{NativeRegistry, failure};
use crate::error::{Error, Result};
use crate::model::criteria::Criteria;
use crate::model::page::{CollectionEntry, Entry, NAMED_MEMBERS, Part, Position};
use crate::registry::parts;

impl NativeRegistry {
    /// At most `limit` artifacts and then collections that meet the criteria, from `after` on; artifacts by
    /// key with the newest version first, or by rank when words are searched, with labels and without files.
    ///
    /// # Errors
    /// `Unavailable` when the database cannot be read.
    pub async fn part(&self, criteria: &Criteria, after: Option<Position>, limit: u64) -> Result<Part<Entry>> {
        let criteria = criteria.clone();
        self.read(move |transaction| part(transaction, &criteria, after, limit)).await
    }
}

fn part(
    transaction: &Transaction<'_>,
    criteria: &Criteria,
    after: Option<Position>,
    limit: u64,
) -> Result<Part<Entry>> {
    let artifacts = |after: Option<Position>, limit| artifacts(transaction, criteria, after.as_ref(), limit);
    parts::listing(criteria, after, limit, artifacts, |after, limit| collections(transaction, criteria, after, limit))
}

fn artifacts(
    transaction: &Transaction<'_>,
    criteria: &Criteria,
    after: Option<&Position>,
    limit: u64,
) -> Result<Part<Entry>> {
    let Some(query) = Query::new(transaction, criteria, after)? else { return Ok(Part::default()) };
    let passed = if let Some(Position::Ranked(passed)) = after { *passed } else { 0 };
    if i64::try_from(passed).is_err() {
        return Err(Error::invalid("'page_token' is beyond what there can be"));
    }
    let mut found = artifact::query(transaction, &query.sql(limit + 1, passed), query.values())?;
    let more = parts::cut(&mut found, limit);
    let last = found.last().filter(|_| more);
    let next = last.map(|last| query.next(last, criteria.search.is_some(), passed.saturating_add(limit)));
    artifact::add_labels(transaction, &mut found)?;
    Ok(Part { entries: found.into_iter().map(|found| Entry::Artifact(found.artifact)).collect(), next })
}

fn collections(
    transaction: &Transaction<'_>,
    criteria: &Criteria,
    after: Option<String>,
    limit: u64,
) -> Result<Part<Entry>> {
    let mut conditions = vec!["1".to_owned()];
    let mut values: Vec<Value> = Vec::new();
    let mut add = |condition: &str, value: Option<String>| {
        if let Some(value) = value {
            values.push(value.into());
            conditions.push(format!("{condition}{}", values.len()));
        }
    };
    add("c.key > ?", after.clone());
    add("c.key >= ?", criteria.key_prefix.clone());
    add("c.key < ?", criteria.key_prefix.as_deref().and_then(end_of));
    let key = criteria.key.as_ref();
    let operator = if key.is_some_and(|key| key.is_exact()) { "c.key = ?" } else { "c.key GLOB ?" };
    add(operator, key.map(|key| key.text().to_owned()));
    add("c.created_by = ?", criteria.created_by.clone());
    let times = criteria.created_at.unwrap_or_default();
    add("c.created_at >= ?", times.from.map(|from| from.to_milliseconds()));
    add("c.created_at < ?", times.to.map(|to| to.to_milliseconds()));
    if let Some(pattern) = criteria.description.as_deref().map(containing) {
        values.push(pattern.into());
        conditions.push(format!("c.description LIKE ?{} ESCAPE '\\'", values.len()));
    }
    let conditions = conditions.join(" AND ");
    let sql = format!(
        "SELECT c.id, c.uid, c.key, c.description, c.created_at, c.created_by, \
         (SELECT count(*) FROM collection_members m WHERE m.collection_id = c.id) \
         FROM collections c WHERE {conditions} ORDER BY c.key LIMIT {}",
        limit + 1
    );
    let mut statement = transaction.prepare_cached(&sql).map_err(failure::of)?;
    let rows = statement.query_map(params_from_iter(values.iter()), parts::collection).map_err(failure::of)?;
    let mut found: Vec<(i64, CollectionEntry)> = rows.collect::<rusqlite::Result<_>>().map_err(failure::of)?;
    let more = parts::cut(&mut found, limit);
    add_members(transaction, &mut found)?;
    let next = parts::after_collections(&found, more, after);
    Ok(Part { entries: found.into_iter().map(|(_, entry)| Entry::Collection(entry)).collect(), next })
}

/// Names the first members of all collections, in one query.
fn add_members(transaction: &Transaction<'_>, collections: &mut [(i64, CollectionEntry)]) -> Result<()> {
    let ids = artifact::id_list(collections.iter().map(|(id, _)| *id));
    let places: HashMap<i64, usize> = collections.iter().enumerate().map(|(place, (id, _))| (*id, place)).collect();
    let sql = format!(
        "SELECT m.collection_id, a.uid, a.key FROM json_each(?1) i \
         CROSS JOIN collection_members m ON m.collection_id = i.value AND m.position < {NAMED_MEMBERS} \
         CROSS JOIN artifacts a ON a.id = m.artifact_id ORDER BY m.collection_id, m.position"
    );
    let mut statement = transaction.prepare_cached(&sql).map_err(failure::of)?;
    let mut rows = statement.query([ids]).map_err(failure::of)?;
    while let Some(row) = rows.next().map_err(failure::of)? {
        let id: i64 = row.get(0).map_err(failure::of)?;
        let member = (row.get(1).map_err(failure::of)?, row.get(2).map_err(failure::of)?);
        if let Some((_, entry)) = places.get(&id).and_then(|place| collections.get_mut(*place)) {
            entry.artifacts.push(member);
        }
    }
    Ok(())
}
