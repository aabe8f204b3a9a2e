//! From criteria to conditions in SQL over a mirror. Pure.

use rusqlite::types::Value;

use super::artifact::VISIBLE;
use crate::error::{Error, Result};
use crate::model::criteria::{CountRange, Criteria, FeatureLabel};
use crate::model::page::Position;
use crate::registry::native::artifact::kind_name;
use crate::registry::native::query::{containing, end_of};

/// Conditions that must all hold, and what they are held against, in order.
#[derive(Debug, Default)]
pub(super) struct Conditions {
    sql: Vec<String>,
    values: Vec<Value>,
}

impl Conditions {
    /// On artifacts (as `a`). Those with a label that `is_common` are looked for one by one, those with another
    /// are gathered first.
    ///
    /// # Errors
    /// Those of `is_common`.
    pub(super) fn of_artifacts(criteria: &Criteria, is_common: impl Fn(&FeatureLabel) -> Result<bool>) -> Result<Self> {
        let mut all = Self::default();
        all.add(if criteria.trashed { "a.branch = -1" } else { VISIBLE }, []);
        if criteria.latest_only() {
            all.add("a.is_latest = 1", []);
        }
        all.keys(criteria);
        if let Some(suffix) = &criteria.suffix {
            all.add("a.suffix = ?", [suffix.clone().into()]);
        }
        if let Some(kind) = criteria.kind {
            all.add("a.kind = ?", [kind_name(kind).to_owned().into()]);
        }
        for label in criteria.all_labels() {
            let feature = if label.feature.is_some() { " AND m.feature = ?" } else { "" };
            let sql = match is_common(&label)? {
                true => format!(
                    "EXISTS (SELECT 1 FROM artifact_labels m CROSS JOIN labels l ON l.id = m.label_id \
                     WHERE m.artifact_id = a.id AND l.name = ? AND l.branch = 1{feature})"
                ),
                false => format!(
                    "a.id IN (SELECT m.artifact_id FROM labels l CROSS JOIN artifact_labels m ON m.label_id = l.id \
                     WHERE l.name = ? AND l.branch = 1{feature})"
                ),
            };
            all.add(&sql, [Some(label.name), label.feature].into_iter().flatten().map(Value::from));
        }
        if let Some(collection) = &criteria.collection {
            let sql = "a.id IN (SELECT m.artifact_id FROM collections c \
                JOIN collection_members m ON m.collection_id = c.id \
                WHERE c.branch = 1 AND (c.uid = ? OR (c.key = ? AND c.is_latest = 1)))";
            all.add(sql, [collection.clone().into(), collection.clone().into()]);
        }
        all.made(criteria);
        all.counts("size", criteria.size);
        all.counts("n_observations", criteria.n_observations);
        Ok(all)
    }

    /// On collections (as `a`), in their latest versions.
    pub(super) fn of_collections(criteria: &Criteria) -> Self {
        let mut all = Self::default();
        all.add(VISIBLE, []);
        all.add("a.is_latest = 1", []);
        all.keys(criteria);
        all.made(criteria);
        all
    }

    /// Adds a condition; each `?` in it takes one of `values`.
    pub(super) fn add(&mut self, sql: &str, values: impl IntoIterator<Item = Value>) {
        self.sql.push(sql.to_owned());
        self.values.extend(values);
    }

    /// From a place among artifacts on; gives how many artifacts by rank came before it.
    ///
    /// # Errors
    /// `InvalidArgument` for a place that there cannot be.
    pub(super) fn after(&mut self, place: Option<Position>) -> Result<u64> {
        match place {
            Some(Position::Artifact { key, uid }) => {
                let values = [key.clone(), key.clone(), key, uid];
                self.add("a.key >= ? AND (a.key > ? OR (a.key = ? AND a.uid < ?))", values.map(Value::from));
            }
            Some(Position::Before(id)) => self.add("s.rowid < ?", [id.into()]),
            Some(Position::Ranked(passed)) if i64::try_from(passed).is_ok() => return Ok(passed),
            Some(_) => return Err(Error::invalid("'page_token' is beyond what there can be")),
            None => {}
        }
        Ok(0)
    }

    /// All conditions.
    pub(super) fn sql(&self) -> String {
        self.sql.join(" AND ")
    }

    /// What they are held against.
    pub(super) fn values(&self) -> impl Iterator<Item = &Value> {
        self.values.iter()
    }

    fn counts(&mut self, column: &str, range: Option<CountRange>) {
        let CountRange { min, max } = range.unwrap_or_default();
        for (bound, sign) in [(min, ">="), (max, "<=")] {
            if let Some(bound) = bound {
                // No count of a database is larger.
                let bound = i64::try_from(bound).unwrap_or(i64::MAX);
                self.add(&format!("a.{column} {sign} ?"), [bound.into()]);
            }
        }
    }

    fn keys(&mut self, criteria: &Criteria) {
        if let Some(prefix) = &criteria.key_prefix {
            self.begins_with(prefix);
        }
        let Some(pattern) = &criteria.key else { return };
        if pattern.is_exact() {
            return self.add("a.key = ?", [pattern.text().to_owned().into()]);
        }
        self.begins_with(pattern.literal_prefix());
        self.add("a.key GLOB ?", [pattern.text().to_owned().into()]);
    }

    fn begins_with(&mut self, prefix: &str) {
        if !prefix.is_empty() {
            self.add("a.key >= ?", [prefix.to_owned().into()]);
            if let Some(end) = end_of(prefix) {
                self.add("a.key < ?", [end.into()]);
            }
        }
    }

    /// By whom, when and described how. Times are texts of one form, which sort as they do.
    fn made(&mut self, criteria: &Criteria) {
        if let Some(maker) = &criteria.created_by {
            self.add("(a.handle = ? OR a.name = ?)", [maker.clone().into(), maker.clone().into()]);
        }
        let range = criteria.created_at.unwrap_or_default();
        for (moment, sign) in [(range.from, ">="), (range.to, "<")] {
            if let Some(moment) = moment {
                self.add(&format!("a.created_at {sign} ?"), [moment.to_string().into()]);
            }
        }
        if let Some(text) = &criteria.description {
            self.add("a.description LIKE ? ESCAPE '\\'", [containing(text).into()]);
        }
    }
}
