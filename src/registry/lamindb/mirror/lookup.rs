//! Looking up labels: ULabels and Records of one name are one label.

use rusqlite::types::Value;
use rusqlite::{params, params_from_iter};

use super::Mirror;
use crate::error::{Error, Result};
use crate::model::lookup::{FeatureCount, LabelEntry, Lookup};
use crate::model::page::{Part, Position};
use crate::registry::native::failure;
use crate::registry::native::query::{containing, end_of};

/// The latest versions that a label is on.
const LABELLED: &str = "artifact_labels m JOIN artifacts a ON a.id = m.artifact_id AND a.branch = 1 AND a.is_latest = 1 \
    JOIN labels l ON l.id = m.label_id AND l.branch = 1";

impl Mirror {
    /// At most `limit` labels by name, from `after` on; also those that no artifact has.
    ///
    /// # Errors
    /// `InvalidArgument` for a place that is not of labels, and those of the database.
    pub(in crate::registry::lamindb) async fn labels(
        &self,
        lookup: &Lookup,
        after: Option<Position>,
        limit: u64,
    ) -> Result<Part<LabelEntry>> {
        let after = match after {
            None => None,
            Some(Position::Label(name)) => Some(name),
            Some(_) => return Err(Error::invalid("'page_token' is not of a look-up of labels")),
        };
        let lookup = lookup.clone();
        self.read(move |transaction| {
            let (sql, values) = names(&lookup, after, limit);
            let mut statement = transaction.prepare_cached(&sql).map_err(failure::of)?;
            let found = statement.query_map(params_from_iter(values), |row| row.get(0)).map_err(failure::of)?;
            let mut found: Vec<String> = found.collect::<rusqlite::Result<_>>().map_err(failure::of)?;
            let more = found.len() as u64 > limit;
            found.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
            let next = found.last().filter(|_| more).cloned().map(Position::Label);
            let entries = found.into_iter().map(|name| entry(transaction, name)).collect::<Result<_>>()?;
            Ok(Part { entries, next })
        })
        .await
    }
}

fn names(lookup: &Lookup, after: Option<String>, limit: u64) -> (String, Vec<Value>) {
    let mut conditions = vec!["l.branch = 1"];
    let mut values: Vec<Value> = Vec::new();
    let prefix = lookup.prefix.clone();
    let rows = [
        ("l.name > ?", after),
        ("l.name < ?", prefix.as_deref().and_then(end_of)),
        ("l.name >= ?", prefix),
        ("l.name LIKE ? ESCAPE '\\'", lookup.search.as_deref().map(containing)),
        ("EXISTS (SELECT 1 FROM artifact_labels m WHERE m.label_id = l.id AND m.feature = ?)", lookup.feature.clone()),
    ];
    for (condition, value) in rows {
        if let Some(value) = value {
            conditions.push(condition);
            values.push(value.into());
        }
    }
    let (conditions, limit) = (conditions.join(" AND "), limit.saturating_add(1));
    (format!("SELECT DISTINCT l.name FROM labels l WHERE {conditions} ORDER BY l.name LIMIT {limit}"), values)
}

fn entry(transaction: &rusqlite::Transaction<'_>, name: String) -> Result<LabelEntry> {
    let sql = format!("SELECT count(DISTINCT m.artifact_id) FROM {LABELLED} WHERE l.name = ?1");
    let mut statement = transaction.prepare_cached(&sql).map_err(failure::of)?;
    let n_artifacts: i64 = statement.query_row(params![name], |row| row.get(0)).map_err(failure::of)?;
    let sql = format!(
        "SELECT m.feature, count(DISTINCT m.artifact_id) FROM {LABELLED} \
         WHERE l.name = ?1 AND m.feature IS NOT NULL GROUP BY m.feature ORDER BY m.feature"
    );
    let mut statement = transaction.prepare_cached(&sql).map_err(failure::of)?;
    let counted = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get::<_, i64>(1)?));
    let rows = statement.query_map(params![name], counted).map_err(failure::of)?;
    let mut features = Vec::new();
    for row in rows {
        let (name, count) = row.map_err(failure::of)?;
        features.push(FeatureCount { name, n_artifacts: failure::unsigned(count, "number of artifacts")? });
    }
    Ok(LabelEntry { name, n_artifacts: failure::unsigned(n_artifacts, "number of artifacts")?, features })
}
