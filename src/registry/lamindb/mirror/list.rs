//! Artifacts that meet criteria, in SQL over a mirror.

use rusqlite::params_from_iter;
use rusqlite::types::Value;

use super::Mirror;
use super::artifact::{self, COLUMNS};
use crate::error::Result;
use crate::model::artifact::Artifact;
use crate::model::criteria::{CountRange, Criteria};
use crate::registry::native::artifact::kind_name;
use crate::registry::native::search::quoted;

/// Sorts after every character that a key can go on with.
const LAST: &str = "\u{10FFFF}";

/// Where a page begins.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::registry) struct After {
    /// Key and uid of the artifact before; pages by key.
    pub(in crate::registry) entry: Option<(String, String)>,
}

/// Conditions and what they are held against, in order.
#[derive(Debug, Default)]
struct Conditions {
    sql: Vec<String>,
    values: Vec<Value>,
}

impl Conditions {
    /// Adds a condition; each `?` in it takes one of `values`.
    fn add(&mut self, sql: &str, values: impl IntoIterator<Item = Value>) {
        self.sql.push(sql.to_owned());
        self.values.extend(values);
    }

    fn counts(&mut self, column: &str, range: Option<CountRange>) {
        let CountRange { min, max } = range.unwrap_or_default();
        for (bound, sign) in [(min, ">="), (max, "<=")] {
            // No count of a database is larger.
            let value = |bound| Value::from(i64::try_from(bound).unwrap_or(i64::MAX));
            if let Some(bound) = bound {
                self.add(&format!("a.{column} {sign} ?"), [value(bound)]);
            }
        }
    }
}

impl Mirror {
    /// At most `limit` artifacts after `after`, with labels: by key, of one key the newest version first; what is
    /// searched by rank. The rank of a search goes with each: the smaller, the better.
    ///
    /// # Errors
    /// Those of the database.
    pub(in crate::registry::lamindb) async fn list(
        &self,
        criteria: &Criteria,
        after: After,
        limit: u64,
    ) -> Result<Vec<(f64, Artifact)>> {
        let (criteria, limit) = (criteria.clone(), i64::try_from(limit).unwrap_or(i64::MAX));
        self.read(move |transaction| {
            let mut conditions = conditions(&criteria);
            if let Some((key, uid)) = after.entry {
                conditions.add("(a.key > ? OR (a.key = ? AND a.uid < ?))", [key.clone().into(), key.into(), uid.into()]);
            }
            let (from, rank) = match &criteria.search {
                Some(words) => {
                    conditions.add("artifact_search MATCH ?", [quoted(words).into()]);
                    ("artifact_search s JOIN artifacts a ON a.id = s.rowid", "bm25(artifact_search)")
                }
                None => ("artifacts a", "0.0"),
            };
            let order = if criteria.search.is_some() { "rank_of, a.key, a.uid DESC" } else { "a.key, a.uid DESC" };
            let sql = format!(
                "SELECT {COLUMNS}, {rank} AS rank_of FROM {from} WHERE {} ORDER BY {order} LIMIT {limit}",
                conditions.sql.join(" AND ")
            );
            let ranked = artifact::query_ranked(transaction, &sql, params_from_iter(conditions.values))?;
            let complete = |(rank, found)| Ok((rank, artifact::with_labels(transaction, found)?));
            ranked.into_iter().map(complete).collect()
        })
        .await
    }
}

fn conditions(criteria: &Criteria) -> Conditions {
    let mut all = Conditions::default();
    if criteria.trashed {
        all.add("a.branch = -1", []);
    } else {
        all.add(artifact::VISIBLE, []);
        if !criteria.all_versions {
            all.add("a.is_latest = 1", []);
        }
    }
    keys(criteria, &mut all);
    if let Some(suffix) = &criteria.suffix {
        all.add("a.suffix = ?", [suffix.clone().into()]);
    }
    if let Some(kind) = criteria.kind {
        all.add("a.kind = ?", [kind_name(kind).to_owned().into()]);
    }
    for label in criteria.all_labels() {
        let feature = if label.feature.is_some() { " AND m.feature = ?" } else { "" };
        let sql = format!(
            "a.id IN (SELECT m.artifact_id FROM labels l JOIN artifact_labels m ON m.label_id = l.id \
             WHERE l.name = ? AND l.branch = 1{feature})"
        );
        all.add(&sql, [Some(label.name), label.feature].into_iter().flatten().map(Value::from));
    }
    if let Some(collection) = &criteria.collection {
        let sql = "a.id IN (SELECT m.artifact_id FROM collections c JOIN collection_members m ON m.collection_id = c.id \
            WHERE c.branch = 1 AND (c.uid = ? OR (c.key = ? AND c.is_latest = 1)))";
        all.add(sql, [collection.clone().into(), collection.clone().into()]);
    }
    made(criteria, &mut all);
    all.counts("size", criteria.size);
    all.counts("n_observations", criteria.n_observations);
    if let Some(text) = &criteria.description {
        all.add("instr(lower(a.description), lower(?)) > 0", [text.clone().into()]);
    }
    all
}

fn keys(criteria: &Criteria, all: &mut Conditions) {
    let mut begins_with = |prefix: &str| {
        let end = format!("{prefix}{LAST}");
        all.add("a.key >= ? AND a.key < ?", [prefix.to_owned().into(), end.into()]);
    };
    if let Some(prefix) = &criteria.key_prefix {
        begins_with(prefix);
    }
    let Some(pattern) = &criteria.key else { return };
    if pattern.is_exact() {
        all.add("a.key = ?", [pattern.text().to_owned().into()]);
    } else {
        begins_with(pattern.literal_prefix());
        all.add("a.key GLOB ?", [pattern.text().to_owned().into()]);
    }
}

/// By whom and when. Times are texts of one form, which sort as they do.
fn made(criteria: &Criteria, all: &mut Conditions) {
    if let Some(maker) = &criteria.created_by {
        all.add("(a.handle = ? OR a.name = ?)", [maker.clone().into(), maker.clone().into()]);
    }
    let range = criteria.created_at.unwrap_or_default();
    for (moment, sign) in [(range.from, ">="), (range.to, "<")] {
        if let Some(moment) = moment {
            all.add(&format!("a.created_at {sign} ?"), [moment.to_string().into()]);
        }
    }
}
