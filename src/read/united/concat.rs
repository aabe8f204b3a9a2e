//! The answers of members as one, in the order of the asked rows.
//!
//! A window holds output rows of one member or of several: those of small members are read together,
//! and rows that alternate between members are put into their order when they are there.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::SchemaRef;
use arrow::record_batch::{RecordBatch, RecordBatchOptions};
use async_trait::async_trait;
use futures::stream::{self, StreamExt, TryStreamExt};

use super::columns;
use super::order::{Order, PartRows};
use crate::error::{Error, Result, ResultExt};
use crate::read::array::ArrayPlan;
use crate::read::context::ReadContext;
use crate::read::to_arrow::arrow_error;
use crate::read::windowed::{Window, Windowed};

/// Members that are planned or read at the same time, for one window.
pub const MEMBERS_IN_FLIGHT: usize = 8;

/// Output rows whose windows are planned together.
const BLOCK_ROWS: u64 = 256 * 1024;

/// Entries of each row in a sparse matrix.
type Spans = Vec<(u64, u64)>;

/// Windows of one part, and whether they are certain.
type Planned = (Vec<Window>, bool);

/// A member's rows of the answer.
#[derive(Clone, Debug)]
pub struct MemberAnswer {
    /// Key of the member, for messages and plans.
    pub name: String,
    /// Its rows, with the schema of the whole answer.
    pub answer: Arc<dyn Windowed>,
}

/// The rows of several members.
#[derive(Debug)]
pub struct ConcatAnswer {
    members: Vec<MemberAnswer>,
    order: Order,
    schema: SchemaRef,
    /// A batch without rows, which carries the categories.
    empty: RecordBatch,
}

impl ConcatAnswer {
    /// The rows of `members`, which are the parts of `order`; `empty` is an answer without rows.
    pub fn new(members: Vec<MemberAnswer>, order: Order, empty: RecordBatch) -> Self {
        Self { members, order, schema: empty.schema(), empty }
    }

    fn member(&self, part: usize) -> Result<&MemberAnswer> {
        self.members.get(part).ok_or_else(|| Error::internal("no such member of an answer"))
    }

    /// Windows of one part's rows, and whether they are certain.
    async fn windows_of(&self, context: &ReadContext, rows: &PartRows, exact: bool) -> Result<Planned> {
        let member = self.member(rows.part)?;
        let planned = if exact {
            member.answer.windows(context, rows.range.clone()).await.map(|windows| (windows, true))
        } else {
            member.answer.foreseen(context, rows.range.clone()).await
        };
        planned.with_context(|| format!("artifact '{}'", member.name))
    }

    /// The windows of the rows of several parts, and whether they are certain.
    async fn windows_of_all(&self, context: &ReadContext, parts: &[PartRows], exact: bool) -> Result<Vec<Planned>> {
        let planned: Vec<_> = parts.iter().map(|rows| self.windows_of(context, rows, exact)).collect();
        stream::iter(planned).buffered(MEMBERS_IN_FLIGHT).try_collect().await
    }

    /// The windows of consecutive output rows, where every part has its rows together: those of the
    /// parts, small ones joined.
    async fn grouped(&self, context: &ReadContext, block: Range<u64>, exact: bool) -> Result<(Vec<Window>, bool)> {
        let parts: Vec<PartRows> = self.order.parts(block.clone());
        let planned = self.windows_of_all(context, &parts, exact).await?;
        let (mut windows, mut certain): (Vec<Window>, bool) = (Vec::new(), true);
        let mut output = block.start;
        for (part_windows, part_certain) in planned {
            certain &= part_certain;
            for window in part_windows {
                let rows = window.rows.end - window.rows.start;
                let spans = padded(window.spans, rows);
                match windows.last_mut() {
                    Some(last) if last.bytes.saturating_add(window.bytes) <= context.window_bytes => {
                        last.rows.end += rows;
                        last.bytes += window.bytes;
                        last.spans.extend(spans);
                    }
                    _ => windows.push(Window { rows: output..output + rows, bytes: window.bytes, spans }),
                }
                output += rows;
            }
        }
        Ok((windows, certain))
    }

    /// The windows of output rows that alternate between parts: halved until they fit.
    async fn scattered(&self, context: &ReadContext, block: Range<u64>, exact: bool) -> Result<(Vec<Window>, bool)> {
        let (mut windows, mut certain) = (Vec::new(), true);
        let mut left = vec![block];
        // What a guess says does not fit is not counted: counting may read all of a member.
        let guessed = exact && !self.is_divisible();
        while let Some(rows) = left.pop() {
            let parts = self.order.parts(rows.clone());
            let count = rows.end - rows.start;
            let mut planned = self.windows_of_all(context, &parts, exact && !guessed).await?;
            if guessed && (bytes_of(&planned) <= context.window_bytes || count == 1) {
                planned = self.windows_of_all(context, &parts, true).await?;
            }
            let bytes = bytes_of(&planned);
            if bytes > context.window_bytes && count > 1 {
                let middle = rows.start + count / 2;
                left.push(middle..rows.end);
                left.push(rows.start..middle);
                continue;
            }
            certain &= planned.iter().all(|(_, certain)| *certain);
            let spans: Vec<Spans> = planned
                .into_iter()
                .map(|(windows, _)| {
                    let spans = |window: Window| padded(window.spans, window.rows.end - window.rows.start);
                    windows.into_iter().flat_map(spans).collect()
                })
                .collect();
            windows.push(Window { spans: self.in_output_order(&rows, &parts, &spans), rows, bytes });
        }
        Ok((windows, certain))
    }

    /// The spans of each part's rows as those of the output rows.
    fn in_output_order(&self, rows: &Range<u64>, parts: &[PartRows], spans: &[Spans]) -> Spans {
        let of_part: HashMap<usize, (u64, &Spans)> =
            parts.iter().zip(spans).map(|(part, spans)| (part.part, (part.range.start, spans))).collect();
        let mut all = Vec::new();
        for stretch in self.order.stretches(rows.clone()) {
            let Some((first, spans)) = of_part.get(&stretch.part) else { continue };
            let (start, end) = ((stretch.range.start - first) as usize, (stretch.range.end - first) as usize);
            all.extend(spans.get(start..end).unwrap_or_default());
        }
        all
    }

    async fn planned(&self, context: &ReadContext, block: Range<u64>, exact: bool) -> Result<(Vec<Window>, bool)> {
        if self.order.rows() == 0 {
            // A batch without rows still carries the categories.
            return Ok((vec![Window { rows: 0..0, bytes: 0, spans: Vec::new() }], true));
        }
        if self.order.is_grouped() {
            self.grouped(context, block, exact).await
        } else {
            self.scattered(context, block, exact).await
        }
    }

    /// The windows of each part that `window` consists of.
    fn windows_by_part(&self, window: &Window) -> Vec<(usize, Window)> {
        let mut spans: HashMap<usize, Spans> = HashMap::new();
        let mut at = 0;
        for stretch in self.order.stretches(window.rows.clone()) {
            let count = (stretch.range.end - stretch.range.start) as usize;
            let of_stretch = window.spans.get(at..at + count).unwrap_or_default();
            spans.entry(stretch.part).or_default().extend(of_stretch);
            at += count;
        }
        let of_part = |rows: PartRows| {
            let spans = spans.remove(&rows.part).unwrap_or_default();
            (rows.part, Window { rows: rows.range, bytes: window.bytes, spans })
        };
        self.order.parts(window.rows.clone()).into_iter().map(of_part).collect()
    }

    async fn read_part(&self, context: &ReadContext, part: usize, window: Window) -> Result<RecordBatch> {
        let member = self.member(part)?;
        let rows = window.rows.end - window.rows.start;
        let batch = member.answer.read(context, window).await;
        let batch = batch.with_context(|| format!("artifact '{}'", member.name))?;
        if batch.num_rows() as u64 != rows {
            let found = batch.num_rows();
            return Err(Error::internal(format!("'{}' gave {found} rows, expected {rows}", member.name)));
        }
        Ok(batch)
    }

    /// The rows of the parts' batches in output order.
    fn assembled(&self, window: &Window, parts: &[usize], batches: &[RecordBatch]) -> Result<RecordBatch> {
        let stretches: Vec<PartRows> = self.order.stretches(window.rows.clone()).collect();
        let columns = (0..self.schema.fields().len()).map(|column| {
            let arrays: Vec<&ArrayRef> = batches.iter().map(|batch| batch.column(column)).collect();
            let together = |arrays: &[&dyn Array]| match stretches.len() == parts.len() {
                true => arrow::compute::concat(arrays).map_err(arrow_error),
                false => interleaved(arrays, parts, &stretches),
            };
            let codes: Option<Vec<_>> = arrays.iter().map(|array| array.as_any_dictionary_opt()).collect();
            match codes.as_deref() {
                // All of them have the same categories.
                Some([first, ..]) => {
                    let codes = codes.iter().flatten().map(|array| array.keys()).collect::<Vec<_>>();
                    let data_type = self.schema.field(column).data_type();
                    columns::dictionary(together(&codes)?.as_ref(), data_type, first.values())
                }
                _ => together(&arrays.iter().map(|array| array.as_ref()).collect::<Vec<_>>()),
            }
        });
        let columns = columns.collect::<Result<Vec<_>>>()?;
        let rows = usize::try_from(window.rows.end - window.rows.start).ok();
        let options = RecordBatchOptions::new().with_row_count(rows);
        RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options).map_err(arrow_error)
    }
}

/// Bytes of all windows.
fn bytes_of(planned: &[Planned]) -> u64 {
    let windows = planned.iter().flat_map(|(windows, _)| windows);
    windows.fold(0, |total, window| total.saturating_add(window.bytes))
}

/// The elements of `arrays`, which are those of `parts`, as `stretches` follow each other.
fn interleaved(arrays: &[&dyn Array], parts: &[usize], stretches: &[PartRows]) -> Result<ArrayRef> {
    let place: HashMap<usize, usize> = parts.iter().copied().zip(0..).collect();
    let mut next = vec![0_usize; arrays.len()];
    let mut indices = Vec::new();
    for stretch in stretches {
        let array = place.get(&stretch.part).copied();
        let array = array.ok_or_else(|| Error::internal("rows of a member that was not read"))?;
        let count = (stretch.range.end - stretch.range.start) as usize;
        let first = next.get_mut(array).ok_or_else(|| Error::internal("no such member of an answer"))?;
        indices.extend((*first..*first + count).map(|row| (array, row)));
        *first += count;
    }
    arrow::compute::interleave(arrays, &indices).map_err(arrow_error)
}

/// One span per row; answers that are no sparse matrices have none.
fn padded(mut spans: Spans, rows: u64) -> Spans {
    spans.resize(usize::try_from(rows).unwrap_or(usize::MAX), (0, 0));
    spans
}

#[async_trait]
impl Windowed for ConcatAnswer {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn rows(&self) -> u64 {
        self.order.rows()
    }

    fn is_divisible(&self) -> bool {
        self.members.iter().all(|member| member.answer.is_divisible())
    }

    fn bytes(&self) -> Option<u64> {
        self.members.iter().try_fold(0_u64, |total, member| total.checked_add(member.answer.bytes()?))
    }

    fn estimated_row_bytes(&self) -> u64 {
        let all = self.members.iter().fold(0_u64, |total, member| {
            total.saturating_add(member.answer.estimated_row_bytes().saturating_mul(member.answer.rows()))
        });
        (all / self.rows().max(1)).max(1)
    }

    /// Members that are read as a whole for each block are in one block.
    fn blocks(&self, rows: Range<u64>) -> Vec<Range<u64>> {
        if !self.is_divisible() || rows.is_empty() {
            return vec![rows];
        }
        let starts = std::iter::successors(Some(rows.start), |start| start.checked_add(BLOCK_ROWS));
        let block = |start: u64| start..start.saturating_add(BLOCK_ROWS).min(rows.end);
        starts.take_while(|start| *start < rows.end).map(block).collect()
    }

    async fn windows(&self, context: &ReadContext, block: Range<u64>) -> Result<Vec<Window>> {
        self.planned(context, block, true).await.map(|(windows, _)| windows)
    }

    async fn foreseen(&self, context: &ReadContext, block: Range<u64>) -> Result<(Vec<Window>, bool)> {
        self.planned(context, block, false).await
    }

    async fn read(&self, context: &ReadContext, window: Window) -> Result<RecordBatch> {
        let windows = self.windows_by_part(&window);
        let parts: Vec<usize> = windows.iter().map(|(part, _)| *part).collect();
        let reads: Vec<_> = windows.into_iter().map(|(part, window)| self.read_part(context, part, window)).collect();
        let batches: Vec<_> = stream::iter(reads).buffered(MEMBERS_IN_FLIGHT).try_collect().await?;
        match batches.as_slice() {
            [] => Ok(self.empty.clone()),
            [batch] => RecordBatch::try_new_with_options(
                Arc::clone(&self.schema),
                batch.columns().to_vec(),
                &RecordBatchOptions::new().with_row_count(Some(batch.num_rows())),
            )
            .map_err(arrow_error),
            batches => self.assembled(&window, &parts, batches),
        }
    }

    async fn plan(&self, context: &ReadContext, window: Window) -> Result<Vec<(String, ArrayPlan)>> {
        let mut plans = Vec::new();
        for (part, window) in self.windows_by_part(&window) {
            let member = self.member(part)?;
            let planned = member.answer.plan(context, window).await;
            let planned = planned.with_context(|| format!("artifact '{}'", member.name))?;
            plans.extend(planned.into_iter().map(|(path, plan)| (format!("{}/{path}", member.name), plan)));
        }
        Ok(plans)
    }
}
