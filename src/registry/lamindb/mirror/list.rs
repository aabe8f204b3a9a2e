//! Artifacts and collections that meet criteria, page by page.

use rusqlite::{Transaction, params, params_from_iter};

use super::Mirror;
use super::artifact;
use super::conditions::Conditions;
use crate::error::Result;
use crate::model::criteria::{Criteria, FeatureLabel};
use crate::model::page::{CollectionEntry, Entry, NAMED_MEMBERS, Part, Position};
use crate::registry::native::failure;
use crate::registry::native::query::RANKED;
use crate::registry::native::search::{self, quoted};
use crate::registry::parts;

/// Artifacts from which on a label is common: then a walk by key soon meets some.
const COMMON: i64 = 10_000;

impl Mirror {
    /// At most `limit` artifacts and then collections that meet the criteria, from `after` on; artifacts by key, of
    /// one key the newest version first, or by rank when words are searched; with labels.
    ///
    /// # Errors
    /// `InvalidArgument` for a place that is not of a listing, and those of the database.
    pub(in crate::registry::lamindb) async fn part(
        &self,
        criteria: &Criteria,
        after: Option<Position>,
        limit: u64,
    ) -> Result<Part<Entry>> {
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
    let artifacts = |after, limit| artifacts(transaction, criteria, after, limit);
    parts::listing(criteria, after, limit, artifacts, |after, limit| collections(transaction, criteria, after, limit))
}

fn artifacts(
    transaction: &Transaction<'_>,
    criteria: &Criteria,
    after: Option<Position>,
    limit: u64,
) -> Result<Part<Entry>> {
    let mut conditions = Conditions::of_artifacts(criteria, |label| is_common(transaction, label))?;
    let words = criteria.search.as_deref().map(quoted);
    let by_rank = match (&words, &after) {
        (None, _) => false,
        (Some(words), None) => search::count(transaction, words, RANKED + 1)? <= RANKED,
        (Some(_), Some(after)) => !matches!(after, Position::Before(_)),
    };
    let order = match (&words, by_rank) {
        (None, _) => "a.key, a.uid DESC",
        (Some(_), true) => "bm25(artifact_search), a.key, a.uid DESC",
        (Some(_), false) => "s.rowid DESC",
    };
    let mut from = "artifacts a";
    if let Some(words) = &words {
        conditions.add("artifact_search MATCH ?", [words.clone().into()]);
        from = "artifact_search s CROSS JOIN artifacts a ON a.id = s.rowid";
    }
    let passed = conditions.after(after)?;
    let sql = format!(
        "SELECT {} FROM {from} WHERE {} ORDER BY {order} LIMIT {} OFFSET {passed}",
        artifact::COLUMNS,
        conditions.sql(),
        limit.saturating_add(1)
    );
    let mut found = artifact::query(transaction, &sql, params_from_iter(conditions.values()))?;
    let more = parts::cut(&mut found, limit);
    let next = found.last().filter(|_| more).map(|last| match (&words, by_rank) {
        (Some(_), true) => Position::Ranked(passed.saturating_add(limit)),
        (Some(_), false) => Position::Before(last.id),
        (None, _) => Position::Artifact { key: last.artifact.key.clone(), uid: last.artifact.uid.clone() },
    });
    let entries = artifact::with_labels(transaction, found)?.into_iter().map(Entry::Artifact).collect();
    Ok(Part { entries, next })
}

/// Whether more artifacts have a label than are gathered and sorted for a page.
fn is_common(transaction: &Transaction<'_>, label: &FeatureLabel) -> Result<bool> {
    let sql = "SELECT count(*) FROM (SELECT 1 FROM labels l CROSS JOIN artifact_labels m ON m.label_id = l.id \
        WHERE l.name = ?1 LIMIT ?2)";
    let mut statement = transaction.prepare_cached(sql).map_err(failure::of)?;
    let count: i64 = statement.query_row(params![label.name, COMMON], |row| row.get(0)).map_err(failure::of)?;
    Ok(count >= COMMON)
}

fn collections(
    transaction: &Transaction<'_>,
    criteria: &Criteria,
    after: Option<String>,
    limit: u64,
) -> Result<Part<Entry>> {
    let mut conditions = Conditions::of_collections(criteria);
    if let Some(after) = &after {
        conditions.add("a.key > ?", [after.clone().into()]);
    }
    // Of several collections with one key the newest stands for all: places are keys.
    let sql = format!(
        "SELECT a.id, a.uid, a.key, a.description, max(a.created_at), {}, \
         (SELECT count(*) FROM collection_members m WHERE m.collection_id = a.id) \
         FROM collections a WHERE {} GROUP BY a.key ORDER BY a.key LIMIT {}",
        artifact::MAKER,
        conditions.sql(),
        limit.saturating_add(1)
    );
    let mut statement = transaction.prepare_cached(&sql).map_err(failure::of)?;
    let rows = statement.query_map(params_from_iter(conditions.values()), parts::collection).map_err(failure::of)?;
    let mut found: Vec<(i64, CollectionEntry)> = rows.collect::<rusqlite::Result<_>>().map_err(failure::of)?;
    let more = parts::cut(&mut found, limit);
    let next = parts::after_collections(&found, more, after);
    let mut entries = Vec::with_capacity(found.len());
    for (id, mut entry) in found {
        entry.artifacts = members(transaction, id)?;
        entries.push(Entry::Collection(entry));
    }
    Ok(Part { entries, next })
}

/// uid and key of the first members.
fn members(transaction: &Transaction<'_>, collection: i64) -> Result<Vec<(String, String)>> {
    let sql = format!(
        "SELECT a.uid, a.key FROM collection_members m JOIN artifacts a ON a.id = m.artifact_id \
         WHERE m.collection_id = ?1 AND {} ORDER BY m.position LIMIT {NAMED_MEMBERS}",
        artifact::VISIBLE
    );
    let mut statement = transaction.prepare_cached(&sql).map_err(failure::of)?;
    let rows = statement.query_map([collection], |row| Ok((row.get(0)?, row.get(1)?))).map_err(failure::of)?;
    rows.collect::<rusqlite::Result<_>>().map_err(failure::of)
}
