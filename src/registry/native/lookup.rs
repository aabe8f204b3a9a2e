//! Looking up names: labels, with the features of which they are values.

use rusqlite::{Transaction, params_from_iter, types::Value};

use super::query::{containing, end_of};
use super::{NativeRegistry, failure};
use crate::error::{Error, Result};
use crate::model::lookup::{FeatureCount, LabelEntry, Lookup};
use crate::model::page::{Part, Position};

impl NativeRegistry {
    /// At most `limit` labels that some artifact has (in its latest version), by name, from `after` on.
    ///
    /// # Errors
    /// `Unavailable` when the database cannot be read.
    pub async fn labels(&self, lookup: &Lookup, after: Option<Position>, limit: u64) -> Result<Part<LabelEntry>> {
        let lookup = lookup.clone();
        self.read(move |transaction| labels(transaction, &lookup, after, limit)).await
    }
}

fn labels(
    transaction: &Transaction<'_>,
    lookup: &Lookup,
    after: Option<Position>,
    limit: u64,
) -> Result<Part<LabelEntry>> {
    let mut found = names(transaction, lookup, after, limit)?;
    let more = found.len() as u64 > limit;
    found.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    let next = found.last().filter(|_| more).map(|(_, name)| Position::Label(name.clone()));
    // One walk of the index for each label: together they would have to be sorted.
    let sql = "SELECT feature, count(*) FROM labelled INDEXED BY labelled_latest \
        WHERE label_id = ?1 AND is_latest = 1 GROUP BY feature ORDER BY feature";
    let mut statement = transaction.prepare_cached(sql).map_err(failure::of)?;
    let mut entries = Vec::with_capacity(found.len());
    for (id, name) in found {
        let mut entry = LabelEntry { name, ..LabelEntry::default() };
        let mut rows = statement.query([id]).map_err(failure::of)?;
        while let Some(row) = rows.next().map_err(failure::of)? {
            let name: String = row.get(0).map_err(failure::of)?;
            let n_artifacts = failure::unsigned(row.get(1).map_err(failure::of)?, "number of artifacts")?;
            match name.as_str() {
                "" => entry.n_artifacts = n_artifacts,
                _ => entry.features.push(FeatureCount { name, n_artifacts }),
            }
        }
        entries.push(entry);
    }
    Ok(Part { entries, next })
}

/// Rows and names of the labels, one more than `limit` when there are more.
fn names(
    transaction: &Transaction<'_>,
    lookup: &Lookup,
    after: Option<Position>,
    limit: u64,
) -> Result<Vec<(i64, String)>> {
    let after = match after {
        None => None,
        Some(Position::Label(name)) => Some(name),
        Some(_) => return Err(Error::invalid("'page_token' is not of a look-up of labels")),
    };
    let feature = lookup.feature.clone().unwrap_or_default();
    let mut values: Vec<Value> = vec![feature.into()];
    let mut conditions = vec![
        "EXISTS (SELECT 1 FROM labelled m INDEXED BY labelled_latest \
         WHERE m.label_id = l.id AND m.feature = ?1 AND m.is_latest = 1)"
            .to_owned(),
    ];
    let prefix = lookup.prefix.clone();
    let end = prefix.as_deref().and_then(end_of);
    let search = lookup.search.as_deref().map(containing);
    for (condition, value) in
        [("l.name > ?#", after), ("l.name >= ?#", prefix), ("l.name < ?#", end), ("l.name LIKE ?# ESCAPE '\\'", search)]
    {
        if let Some(value) = value {
            values.push(value.into());
            conditions.push(condition.replace('#', &values.len().to_string()));
        }
    }
    let conditions = conditions.join(" AND ");
    let sql = format!("SELECT l.id, l.name FROM labels l WHERE {conditions} ORDER BY l.name LIMIT {}", limit + 1);
    let mut statement = transaction.prepare_cached(&sql).map_err(failure::of)?;
    let rows = statement.query_map(params_from_iter(values.iter()), |row| Ok((row.get(0)?, row.get(1)?)));
    rows.map_err(failure::of)?.collect::<rusqlite::Result<_>>().map_err(failure::of)
}
