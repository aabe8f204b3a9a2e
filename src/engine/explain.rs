//! What a slice would read: requests, bytes and ranges, from the same plans that reading executes.

use serde_json::{Value, json};

use super::hierarchy::ColumnSlice;
use super::slice::{Answer, Slice};
use crate::error::Result;
use crate::plan::requests::request_bytes;
use crate::read::array::ArrayPlan;
use crate::read::windowed::Windowed;
use crate::table::ScanEstimate;

/// Ranges listed by one explanation; beyond, only the totals count them.
const MAX_RANGES: usize = 10_000;

/// What is planned for an estimate; more is extrapolated from it.
const ESTIMATED: Effort = Effort { blocks: 16, windows: 16, chunks: 1 << 16, runs: 1 << 21 };

/// What is planned for an explanation, likewise.
const EXPLAINED: Effort = Effort { blocks: 64, windows: 1 << 16, chunks: 1 << 20, runs: 1 << 23 };

/// Planning stops with the window in which one of these is reached.
#[derive(Clone, Copy, Debug)]
struct Effort {
    blocks: usize,
    windows: usize,
    chunks: usize,
    /// Runs of selected positions, which each window goes through anew.
    runs: usize,
}

impl Slice {
    /// Which ranges of which objects would be read, how many requests and bytes, as JSON. Reads chunk
    /// indexes and sparse pointers, no data; where data decides on windows, they are guessed and `exact`
    /// is false. Where the answer is very large, what was planned of it is extrapolated, and `exact` is false
    /// too.
    ///
    /// # Errors
    /// The errors of those reads.
    pub async fn explain(&self) -> Result<Value> {
        let mut summary = self.summary(&Value::Null);
        let detail = match &self.answer {
            Answer::Windowed(answer) => {
                let (totals, rows) = plan(self, answer.as_ref(), EXPLAINED, true).await?;
                let complete = rows == answer.rows();
                let scale = |count: u64| if complete { count } else { scaled(count, answer.rows(), rows) };
                json!({
                    "exact": complete && !totals.guessed,
                    "requests": scale(totals.requests),
                    "bytes": if totals.unknown_bytes { Value::Null } else { json!(scale(totals.bytes)) },
                    "chunks": scale(totals.chunks),
                    "windows": scale(totals.windows as u64),
                    "merge_gap": self.context.merging.gap,
                    "ranges_listed": totals.ranges.len(),
                    "ranges": totals.ranges,
                })
            }
            Answer::Table { table, scan, .. } => of_table(&table.estimate(scan).await?),
            Answer::Registry(_) => json!({ "exact": true, "requests": 0, "bytes": 0 }),
        };
        if let (Value::Object(summary), Value::Object(detail)) = (&mut summary, detail) {
            summary.remove("estimate");
            summary.extend(detail);
            if let Some(columns) = &self.columns {
                summary.insert("column_index".into(), self.explain_columns(columns).await?);
            }
        }
        Ok(summary)
    }

    /// Whether a column index is used, and what the matrix costs without it when it is.
    async fn explain_columns(&self, columns: &ColumnSlice) -> Result<Value> {
        let mut summary = columns.summary();
        if columns.is_used() {
            let without = self.estimate_of(columns.direct.as_ref()).await?;
            if let Value::Object(fields) = &mut summary {
                fields.insert("without".into(), without);
            }
        }
        Ok(summary)
    }

    async fn estimate_of(&self, answer: &dyn Windowed) -> Result<Value> {
        let (totals, rows) = plan(self, answer, ESTIMATED, false).await?;
        let complete = rows == answer.rows();
        let exact = complete && !totals.guessed;
        let scale = |count: u64| if complete { count } else { scaled(count, answer.rows(), rows) };
        let bytes = if totals.unknown_bytes { Value::Null } else { json!(scale(totals.bytes)) };
        Ok(json!({ "requests": scale(totals.requests), "bytes": bytes, "exact": exact }))
    }

    /// Requests and bytes of the whole answer, extrapolated from its first windows when it has many:
    /// `{"requests": …, "bytes": …, "exact": …}`. Of a table the bytes are those of its files.
    ///
    /// # Errors
    /// As [`Slice::explain`].
    pub async fn estimate(&self) -> Result<Value> {
        match &self.answer {
            Answer::Windowed(answer) => self.estimate_of(answer.as_ref()).await,
            // It comes from the registry's database, no object is read.
            Answer::Registry(_) => Ok(json!({ "requests": 0, "bytes": 0, "exact": true })),
            // Footers would say more; `explain` reads them.
            Answer::Table { .. } => {
                let stored = self.sources.iter().fold(0_u64, |total, artifact| total.saturating_add(artifact.size));
                Ok(json!({ "requests": null, "bytes": stored, "exact": false }))
            }
        }
    }
}

#[derive(Default)]
struct Totals {
    requests: u64,
    bytes: u64,
    /// Whether the bytes of some request are known only to the store (whole zarr objects).
    unknown_bytes: bool,
    chunks: u64,
    windows: usize,
    /// Chunks planned, those without bytes too.
    planned: usize,
    /// Runs of positions that the windows went through; those that their chunks share count once.
    runs: usize,
    /// Whether the windows are guessed, as only reading tells where they end.
    guessed: bool,
    ranges: Vec<Value>,
}

impl Totals {
    fn add(&mut self, path: &str, plan: &ArrayPlan, list: bool) {
        self.planned = self.planned.saturating_add(plan.tasks.len());
        let runs = plan.tasks.first().map_or(0, |task| task.runs.iter().map(|runs| runs.len()).sum());
        self.runs = self.runs.saturating_add(runs);
        for request in &plan.requests {
            self.requests += 1;
            self.chunks += request.members.len() as u64;
            match request_bytes(request) {
                Some(bytes) => self.bytes = self.bytes.saturating_add(bytes),
                None => self.unknown_bytes = true,
            }
            if list && self.ranges.len() < MAX_RANGES {
                self.ranges.push(json!({
                    "array": path,
                    "object": request.object,
                    "offset": request.range.as_ref().map(|range| range.start),
                    "length": request_bytes(request),
                    "chunks": request.members.len(),
                }));
                if let (Some(Value::Object(range)), Some(elements)) = (self.ranges.last_mut(), &request.elements) {
                    range.insert("start".into(), json!(elements.start));
                    range.insert("count".into(), json!(elements.count));
                }
            }
        }
    }
}

/// Plans windows of `answer` with at most the effort `most`; returns the totals and how many rows they cover.
async fn plan(slice: &Slice, answer: &dyn Windowed, most: Effort, list: bool) -> Result<(Totals, u64)> {
    let (mut totals, mut rows) = (Totals::default(), 0);
    for (index, block) in answer.blocks(0..answer.rows()).enumerate() {
        if index == most.blocks {
            return Ok((totals, rows));
        }
        let (windows, exact) = answer.foreseen(&slice.context, block).await?;
        totals.guessed |= !exact;
        for window in windows {
            if totals.windows == most.windows || totals.planned >= most.chunks || totals.runs >= most.runs {
                return Ok((totals, rows));
            }
            totals.windows += 1;
            rows += window.rows.end - window.rows.start;
            for (path, plan) in answer.plan(&slice.context, window).await? {
                totals.add(&path, &plan, list);
            }
        }
    }
    Ok((totals, rows))
}

/// Parquet requests are made while scanning, as pruning goes: only bounds are known before.
fn of_table(estimate: &ScanEstimate) -> Value {
    let bytes = estimate.files.iter().fold(0_u64, |total, (_, _, bytes)| total.saturating_add(*bytes));
    let file = |(url, groups, bytes): &(String, u64, u64)| json!({ "object": url, "row_groups": groups, "bytes_at_most": bytes });
    let files: Vec<_> = estimate.files.iter().take(MAX_RANGES).map(file).collect();
    json!({ "requests": null, "bytes": null, "bytes_at_most": bytes, "files": files })
}

fn scaled(count: u64, total: u64, part: u64) -> u64 {
    u64::try_from(u128::from(count) * u128::from(total) / u128::from(part.max(1))).unwrap_or(u64::MAX)
}
