//! From criteria to the SQL that answers them, page by page.
//!
//! SQLite does not know how many rows meet a condition, so the index that is walked is chosen here: one that
//! yields the artifacts of the strictest condition by key, so that a page reads little more than what it
//! shows. The other conditions are looked at row by row. Pure but for short looks at how many rows meet one.

use rusqlite::types::Value;
use rusqlite::{OptionalExtension, Transaction, params_from_iter};

use super::artifact::{COLUMNS, Found, kind_name};
use super::failure;
use crate::error::{Error, Result};
use crate::model::criteria::{Criteria, FeatureLabel, KeyPattern};
use crate::model::page::Position;

/// Rows up to which a condition is strict: so many are read and sorted for a page.
const FEW_ROWS: i64 = 1_000;

/// Artifacts with the words of a search up to which they are ranked; of more the newest come first, as ranks
/// of what so many have tell little and take long.
pub(crate) const RANKED: u64 = 2_000;

/// A query for artifacts: one row of [`COLUMNS`] each.
#[derive(Debug, Default)]
pub(crate) struct Query {
    from: String,
    conditions: Vec<String>,
    order: &'static str,
    values: Vec<Value>,
    by_rank: bool,
}

/// What is looked up before the query: rows of names.
struct Named {
    labels: Vec<(i64, String)>,
    collection: Option<i64>,
}

impl Query {
    /// The query for the artifacts that meet `criteria` from `after` on; none when a label or collection that
    /// they name does not exist, as then nothing does.
    pub(crate) fn new(
        transaction: &Transaction<'_>,
        criteria: &Criteria,
        after: Option<&Position>,
    ) -> Result<Option<Self>> {
        let Some(named) = named(transaction, criteria)? else { return Ok(None) };
        if criteria.search.as_deref().is_some_and(|words| super::search::quoted(words).is_empty()) {
            return Ok(None);
        }
        let mut query = Self { order: "a.key, a.uid DESC", ..Self::default() };
        let labels = query.drive(transaction, criteria, &named, after)?;
        query.keys(criteria, after)?;
        query.states(criteria);
        for (label, feature) in labels {
            let label = query.bind(label);
            let feature = query.bind(feature);
            query.conditions.push(format!(
                "EXISTS (SELECT 1 FROM labelled m WHERE m.artifact_id = a.id AND m.label_id = {label} \
                 AND m.feature = {feature})"
            ));
        }
        query.fields(criteria)?;
        Ok(Some(query))
    }

    /// The SQL, with places for [`Query::values`] and then `limit` rows from `offset` on.
    pub(crate) fn sql(&self, limit: u64, offset: u64) -> String {
        let conditions = self.conditions.join(" AND ");
        format!(
            "SELECT {COLUMNS} FROM {} WHERE {conditions} ORDER BY {} LIMIT {limit} OFFSET {offset}",
            self.from, self.order
        )
    }

    /// What is bound to the places of the SQL.
    pub(crate) fn values(&self) -> impl rusqlite::Params + '_ {
        params_from_iter(self.values.iter())
    }

    /// Chooses the index that is walked; gives the labels that are still to be looked at.
    fn drive(
        &mut self,
        transaction: &Transaction<'_>,
        criteria: &Criteria,
        named: &Named,
        after: Option<&Position>,
    ) -> Result<Vec<(i64, String)>> {
        let mut labels = named.labels.clone();
        let latest = criteria.latest_only();
        if let Some(words) = &criteria.search {
            self.search(transaction, words, after)?;
        } else if criteria.key.as_ref().is_some_and(KeyPattern::is_exact) {
            self.from = "artifacts a INDEXED BY artifacts_key".to_owned();
        } else if !labels.is_empty() {
            let (label, feature) = labels.remove(rarest(transaction, &labels, latest)?);
            let index = if latest { "labelled_latest" } else { "labelled_any" };
            self.from = format!("labelled d INDEXED BY {index} CROSS JOIN artifacts a ON a.id = d.artifact_id");
            let label = self.bind(label);
            let feature = self.bind(feature);
            self.conditions.push(format!("d.label_id = {label} AND d.feature = {feature}"));
            self.conditions.extend(latest.then(|| "d.is_latest = 1".to_owned()));
            self.order = "d.key, d.uid DESC";
        } else if named.collection.is_some() {
            self.from = "collection_members c CROSS JOIN artifacts a ON a.id = c.artifact_id".to_owned();
        } else {
            let index = index_of_field(transaction, criteria)?;
            self.from = format!("artifacts a INDEXED BY {index}");
        }
        if let Some(collection) = named.collection {
            let id = self.bind(collection);
            self.conditions.push(match self.from.starts_with("collection_members") {
                true => format!("c.collection_id = {id}"),
                false => format!(
                    "EXISTS (SELECT 1 FROM collection_members c WHERE c.collection_id = {id} AND c.artifact_id = a.id)"
                ),
            });
        }
        Ok(labels)
    }

    /// Walks the artifacts that have the words.
    fn search(&mut self, transaction: &Transaction<'_>, words: &str, after: Option<&Position>) -> Result<()> {
        let words = super::search::quoted(words);
        self.by_rank = match after {
            None => super::search::count(transaction, &words, RANKED + 1)? <= RANKED,
            Some(after) => !matches!(after, Position::Before(_)),
        };
        self.from = "artifact_search s CROSS JOIN artifacts a ON a.id = s.rowid".to_owned();
        let words = self.bind(words);
        self.conditions.push(format!("artifact_search MATCH {words}"));
        self.order = if self.by_rank { "bm25(artifact_search), a.key, a.uid DESC" } else { "s.rowid DESC" };
        if let Some(Position::Before(number)) = after {
            let number = self.bind(*number);
            self.conditions.push(format!("s.rowid < {number}"));
        }
        Ok(())
    }

    /// Where the page after one that ends with `last` begins; `passed` came before it.
    pub(crate) fn next(&self, last: &Found, is_search: bool, passed: u64) -> Position {
        match (is_search, self.by_rank) {
            (true, true) => Position::Ranked(passed),
            (true, false) => Position::Before(last.id),
            _ => Position::Artifact { key: last.artifact.key.clone(), uid: last.artifact.uid.clone() },
        }
    }

    /// Conditions on the key: as one range where an index is walked by key.
    fn keys(&mut self, criteria: &Criteria, after: Option<&Position>) -> Result<()> {
        let of = if self.order.starts_with("d.") { "d" } else { "a" };
        let mut lower: Option<&str> = None;
        let after = match after {
            Some(Position::Artifact { key, uid }) => Some((key.as_str(), uid.as_str())),
            None | Some(Position::Ranked(_) | Position::Before(_)) => None,
            Some(_) => return Err(Error::internal("a place among artifacts was expected")),
        };
        lower = lower.max(after.map(|(key, _)| key)).max(criteria.key_prefix.as_deref());
        if let Some(prefix) = &criteria.key_prefix {
            self.below_end_of(of, prefix);
        }
        match &criteria.key {
            Some(key) if key.is_exact() => {
                let key = self.bind(key.text().to_owned());
                self.conditions.push(format!("{of}.key = {key}"));
            }
            Some(pattern) => {
                let prefix = pattern.literal_prefix();
                lower = lower.max(Some(prefix));
                self.below_end_of(of, prefix);
                let pattern = self.bind(pattern.text().to_owned());
                self.conditions.push(format!("{of}.key GLOB {pattern}"));
            }
            None => {}
        }
        if let Some(lower) = lower.filter(|lower| !lower.is_empty()) {
            let lower = self.bind(lower.to_owned());
            self.conditions.push(format!("{of}.key >= {lower}"));
        }
        if let Some((key, uid)) = after {
            let (key, uid) = (self.bind(key.to_owned()), self.bind(uid.to_owned()));
            self.conditions.push(format!("({of}.key > {key} OR ({of}.key = {key} AND {of}.uid < {uid}))"));
        }
        Ok(())
    }

    fn below_end_of(&mut self, of: &str, prefix: &str) {
        if let Some(end) = end_of(prefix) {
            let end = self.bind(end);
            self.conditions.push(format!("{of}.key < {end}"));
        }
    }

    /// Which versions, and whether those in the trash.
    fn states(&mut self, criteria: &Criteria) {
        let state = match (criteria.trashed, criteria.latest_only()) {
            (true, _) => "a.trashed_at IS NOT NULL",
            (false, true) => "a.is_latest = 1",
            (false, false) => "a.trashed_at IS NULL",
        };
        self.conditions.push(state.to_owned());
    }

    /// Conditions on the artifact's own columns.
    fn fields(&mut self, criteria: &Criteria) -> Result<()> {
        let kind = criteria.kind.map(|kind| kind_name(kind).to_owned());
        let (suffix, maker) = (criteria.suffix.clone(), criteria.created_by.clone());
        for (column, text) in [("suffix", suffix), ("kind", kind), ("created_by", maker)] {
            self.compare(column, "=", text.map(Value::Text));
        }
        let whole = |count: Option<u64>| count.map(|count| Value::Integer(i64::try_from(count).unwrap_or(i64::MAX)));
        for (column, range) in [("size", criteria.size), ("n_observations", criteria.n_observations)] {
            let range = range.unwrap_or_default();
            // A number beyond what the database holds is above all of them.
            if range.min.is_some_and(|min| i64::try_from(min).is_err()) {
                self.conditions.push("0".to_owned());
            }
            self.compare(column, ">=", whole(range.min));
            self.compare(column, "<=", whole(range.max));
        }
        let times = criteria.created_at.unwrap_or_default();
        self.compare("created_at", ">=", times.from.map(|from| Value::Text(from.to_milliseconds())));
        self.compare("created_at", "<", times.to.map(|to| Value::Text(to.to_milliseconds())));
        if let Some(text) = &criteria.description {
            let text = self.bind(containing(text));
            self.conditions.push(format!("a.description LIKE {text} ESCAPE '\\'"));
        }
        Ok(())
    }

    fn compare(&mut self, column: &str, operator: &str, value: Option<Value>) {
        if let Some(value) = value {
            let value = self.bind(value);
            self.conditions.push(format!("a.{column} {operator} {value}"));
        }
    }

    /// The place of a value.
    fn bind(&mut self, value: impl Into<Value>) -> String {
        self.values.push(value.into());
        format!("?{}", self.values.len())
    }
}

/// The index that yields the artifacts of the strictest condition on their own columns, by key unless they
/// are few.
fn index_of_field(transaction: &Transaction<'_>, criteria: &Criteria) -> Result<&'static str> {
    let sizes = criteria.size.unwrap_or_default();
    let counts = criteria.n_observations.unwrap_or_default();
    let times = criteria.created_at.unwrap_or_default();
    let number = |count: Option<u64>| count.map(|count| Value::Integer(i64::try_from(count).unwrap_or(i64::MAX)));
    let text = |moment: Option<crate::model::criteria::Moment>| moment.map(|at| Value::Text(at.to_milliseconds()));
    let ranges = [
        ("size", "artifacts_size", number(sizes.min), number(sizes.max)),
        ("n_observations", "artifacts_n_observations", number(counts.min), number(counts.max)),
        ("created_at", "artifacts_created_at", text(times.from), text(times.to)),
    ];
    for (column, index, low, high) in ranges {
        if (low.is_some() || high.is_some()) && few(transaction, column, index, low, high)? {
            return Ok(index);
        }
    }
    Ok(match criteria {
        _ if criteria.trashed => "artifacts_trashed",
        _ if !criteria.latest_only() => "artifacts_key",
        Criteria { created_by: Some(_), .. } => "artifacts_created_by",
        Criteria { suffix: Some(_), .. } => "artifacts_suffix",
        Criteria { kind: Some(_), .. } => "artifacts_kind",
        _ => "artifacts_listed",
    })
}

/// Whether only few artifacts have a value in the range.
fn few(
    transaction: &Transaction<'_>,
    column: &str,
    index: &str,
    low: Option<Value>,
    high: Option<Value>,
) -> Result<bool> {
    let bounds: Vec<String> = [(">=", low.is_some()), ("<=", high.is_some())]
        .into_iter()
        .filter(|(_, given)| *given)
        .enumerate()
        .map(|(place, (operator, _))| format!("{column} {operator} ?{}", place + 1))
        .collect();
    let bounds = bounds.join(" AND ");
    let sql = format!(
        "SELECT count(*) FROM (SELECT 1 FROM artifacts INDEXED BY {index} WHERE {bounds} LIMIT {})",
        FEW_ROWS + 1
    );
    let values = params_from_iter([low, high].into_iter().flatten());
    let mut statement = transaction.prepare_cached(&sql).map_err(failure::of)?;
    let count: i64 = statement.query_row(values, |row| row.get(0)).map_err(failure::of)?;
    Ok(count <= FEW_ROWS)
}

/// The place of the label that the fewest artifacts have, counting only a few of each.
fn rarest(transaction: &Transaction<'_>, labels: &[(i64, String)], latest: bool) -> Result<usize> {
    if labels.len() < 2 {
        return Ok(0);
    }
    let (index, latest) = if latest { ("labelled_latest", "AND is_latest = 1") } else { ("labelled_any", "") };
    let sql = format!(
        "SELECT count(*) FROM (SELECT 1 FROM labelled INDEXED BY {index} WHERE label_id = ?1 AND feature = ?2 {latest} \
         LIMIT {FEW_ROWS})"
    );
    let mut statement = transaction.prepare_cached(&sql).map_err(failure::of)?;
    let mut best = (i64::MAX, 0);
    for (place, (label, feature)) in labels.iter().enumerate() {
        let count: i64 = statement.query_row((label, feature), |row| row.get(0)).map_err(failure::of)?;
        best = best.min((count, place));
    }
    Ok(best.1)
}

/// The rows of the labels and the collection that criteria name; none when one does not exist.
fn named(transaction: &Transaction<'_>, criteria: &Criteria) -> Result<Option<Named>> {
    let mut labels = Vec::new();
    for FeatureLabel { name, feature } in criteria.all_labels() {
        let sql = "SELECT id FROM labels WHERE name = ?1";
        let mut statement = transaction.prepare_cached(sql).map_err(failure::of)?;
        let id = statement.query_row([name], |row| row.get(0)).optional().map_err(failure::of)?;
        let Some(id) = id else { return Ok(None) };
        labels.push((id, feature.unwrap_or_default()));
    }
    let collection = match &criteria.collection {
        None => None,
        Some(name) => match super::collection::id_of_name(transaction, name)? {
            None => return Ok(None),
            found => found,
        },
    };
    Ok(Some(Named { labels, collection }))
}

/// The first text after all that begin with `prefix`; none when there is none.
pub(crate) fn end_of(prefix: &str) -> Option<String> {
    let mut characters: Vec<char> = prefix.chars().collect();
    while let Some(last) = characters.pop() {
        let next = (u32::from(last) + 1..=u32::from(char::MAX)).find_map(char::from_u32);
        if let Some(next) = next {
            characters.push(next);
            return Some(characters.into_iter().collect());
        }
    }
    None
}

/// The LIKE pattern, with `\` as its escape, of what holds `text`.
pub(crate) fn containing(text: &str) -> String {
    let mut pattern = String::from("%");
    for character in text.chars() {
        if matches!(character, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(character);
    }
    pattern + "%"
}
