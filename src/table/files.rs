//! Which files of a table a scan reads, and which of their rows. Decides from partition values and row counts;
//! reads no more than the footers that rows are counted by.

use std::ops::Range;

use futures::Stream;

use super::Inner;
use super::plan::Plan;
use crate::error::{Error, Result};

/// A file and which of its rows are read; all when none are named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FilePart {
    /// Place of the file in the table.
    pub(super) file: usize,
    /// Rows `[start, end)` of the file.
    pub(super) rows: Option<Range<u64>>,
}

/// The files of a scan, one after the other.
pub(super) struct FileParts<'a> {
    table: &'a Inner,
    plan: &'a Plan,
    file: usize,
    start: u64,
}

impl<'a> FileParts<'a> {
    pub(super) fn new(table: &'a Inner, plan: &'a Plan) -> Self {
        Self { table, plan, file: 0, start: 0 }
    }

    /// The files that may hold wanted rows, in order.
    pub(super) fn into_stream(self) -> impl Stream<Item = Result<FilePart>> + Send + use<'a> {
        futures::stream::try_unfold(self, |mut parts| async move { Ok(parts.next().await?.map(|part| (part, parts))) })
    }

    /// The next file that may hold wanted rows; footers are read as far as rows must be counted.
    async fn next(&mut self) -> Result<Option<FilePart>> {
        while self.file < self.table.files.len() {
            let Some(wanted) = &self.plan.rows else {
                let file = self.file;
                self.file += 1;
                if self.plan.excludes(self.table, file)? {
                    continue;
                }
                return Ok(Some(FilePart { file, rows: None }));
            };
            if self.start >= wanted.end {
                break;
            }
            let (file, start) = (self.file, self.start);
            let count = self.table.footers.rows(file).await?;
            self.start = start.saturating_add(count);
            self.file += 1;
            let (from, to) = (wanted.start.max(start) - start, wanted.end.min(self.start) - start);
            if from < to {
                return Ok(Some(FilePart { file, rows: (to - from < count).then_some(from..to) }));
            }
        }
        self.check_end()
    }

    /// Rows that were named one by one must exist; known when the last footer was read.
    fn check_end(&self) -> Result<Option<FilePart>> {
        match &self.plan.rows {
            Some(rows) if self.plan.rows_are_named && self.file == self.table.files.len() && rows.end > self.start => {
                let total = self.start;
                Err(Error::out_of_range(format!("rows {}..{} of a table of {total}", rows.start, rows.end)))
            }
            _ => Ok(None),
        }
    }
}
