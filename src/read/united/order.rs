//! Which member each output row comes from, and which of its rows.

use std::ops::Range;
use std::sync::Arc;

use crate::error::{Error, Result};
use crate::model::selection::AxisSelection;

/// Most changes from one member's rows to another's along the output: each takes memory.
pub const MAX_SEGMENTS: usize = 1 << 22;

/// Consecutive output rows of one member, which are consecutive rows of its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Segment {
    /// First output row.
    output: u64,
    /// First row of the member's answer.
    inner: u64,
    /// Place of the member among those that have rows.
    part: u32,
}

/// A selection of positions along the members' rows put one behind the other.
#[derive(Clone, Debug, PartialEq)]
pub struct Order {
    segments: Vec<Segment>,
    rows: u64,
    /// Whether each member's output rows are consecutive.
    grouped: bool,
}

/// What a member gives: its place among the members, and its rows in the order of the output.
pub type Part = (usize, AxisSelection);

/// Output rows `range` of one part's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartRows {
    /// Place among the parts.
    pub part: usize,
    /// Rows of the part's answer.
    pub range: Range<u64>,
}

impl Order {
    /// Splits `selection` of the rows of members of `lengths`.
    ///
    /// # Errors
    /// `OutOfRange` for positions beyond all rows, `ResourceExhausted` above [`MAX_SEGMENTS`].
    pub fn split(selection: &AxisSelection, lengths: &[u64]) -> Result<(Self, Vec<Part>)> {
        let mut starts = vec![0_u64];
        for length in lengths {
            starts.push(starts.last().copied().unwrap_or(0).saturating_add(*length));
        }
        selection.check(starts.last().copied().unwrap_or(0))?;
        let mut splitter = Splitter::new(&starts);
        for run in selection.runs() {
            let (mut done, mut position) = (0, run.start);
            while done < run.count {
                let (member, bounds) = splitter.member(position)?;
                let count = within(position, run.step, &bounds).min(run.count - done);
                splitter.push(member, position - bounds.start, run.step, count)?;
                done += count;
                position = position.wrapping_add_signed(run.step.wrapping_mul(count as i64));
            }
        }
        Ok(splitter.finish())
    }

    /// Output rows.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Whether each member's output rows are consecutive.
    pub fn is_grouped(&self) -> bool {
        self.grouped
    }

    /// The stretches of one part in output `rows`, in output order.
    pub fn stretches(&self, rows: Range<u64>) -> impl Iterator<Item = PartRows> + '_ {
        let first = self.segments.partition_point(|segment| segment.output <= rows.start).saturating_sub(1);
        (first..self.segments.len()).map_while(move |at| {
            let segment = self.segments.get(at)?;
            let end = self.segments.get(at + 1).map_or(self.rows, |next| next.output).min(rows.end);
            let start = segment.output.max(rows.start);
            let inner = |output: u64| segment.inner + (output - segment.output);
            (start < end).then(|| PartRows { part: segment.part as usize, range: inner(start)..inner(end) })
        })
    }

    /// The rows of each part in output `rows`: within a part they are consecutive, as its answer is in
    /// output order.
    pub fn parts(&self, rows: Range<u64>) -> Vec<PartRows> {
        let mut parts: Vec<PartRows> = Vec::new();
        let mut places = std::collections::HashMap::new();
        for stretch in self.stretches(rows) {
            match places.get(&stretch.part).and_then(|at: &usize| parts.get_mut(*at)) {
                Some(part) => part.range.end = stretch.range.end,
                None => {
                    places.insert(stretch.part, parts.len());
                    parts.push(stretch);
                }
            }
        }
        parts
    }
}

/// How many positions from `position` on, by `step`, lie in `bounds`; at least one.
fn within(position: u64, step: i64, bounds: &Range<u64>) -> u64 {
    let room = if step > 0 { bounds.end - 1 - position } else { position - bounds.start };
    room / step.unsigned_abs().max(1) + 1
}

struct Splitter<'a> {
    starts: &'a [u64],
    segments: Vec<Segment>,
    rows: u64,
    /// Part of each member.
    part_of: Vec<Option<u32>>,
    members: Vec<usize>,
    selected: Vec<Selected>,
    grouped: bool,
}

/// Rows of a member: one run, or several.
enum Selected {
    Run { start: u64, step: i64, count: u64 },
    Rows(Vec<u64>),
}

impl Selected {
    fn len(&self) -> u64 {
        match self {
            Self::Run { count, .. } => *count,
            Self::Rows(rows) => rows.len() as u64,
        }
    }

    fn extend(&mut self, start: u64, step: i64, count: u64) {
        let run = |start: u64, step: i64, count: u64| {
            (0..count).map(move |at| start.wrapping_add_signed(step.wrapping_mul(at as i64)))
        };
        match self {
            Self::Run { start: first, step: known, count: length }
                if (*known == step || count == 1)
                    && first.wrapping_add_signed(known.wrapping_mul(*length as i64)) == start =>
            {
                *length += count;
            }
            Self::Run { start: first, step: known, count: length } => {
                let rows = run(*first, *known, *length).chain(run(start, step, count)).collect();
                *self = Self::Rows(rows);
            }
            Self::Rows(rows) => rows.extend(run(start, step, count)),
        }
    }
}

impl<'a> Splitter<'a> {
    fn new(starts: &'a [u64]) -> Self {
        let part_of = vec![None; starts.len()];
        Self {
            starts,
            segments: Vec::new(),
            rows: 0,
            part_of,
            members: Vec::new(),
            selected: Vec::new(),
            grouped: true,
        }
    }

    /// The member that has `position`, and its first and last position.
    fn member(&self, position: u64) -> Result<(usize, Range<u64>)> {
        let member = self.starts.partition_point(|start| *start <= position).saturating_sub(1);
        match (self.starts.get(member), self.starts.get(member + 1)) {
            (Some(start), Some(end)) => Ok((member, *start..*end)),
            _ => Err(Error::internal("a position lies behind all members")),
        }
    }

    fn push(&mut self, member: usize, start: u64, step: i64, count: u64) -> Result<()> {
        let output = self.rows;
        self.rows += count;
        let part = match self.part_of.get(member).copied().flatten() {
            Some(part) => part,
            None => {
                let part = u32::try_from(self.members.len()).map_err(|_| Error::internal("too many members"))?;
                if let Some(place) = self.part_of.get_mut(member) {
                    *place = Some(part);
                }
                self.members.push(member);
                self.selected.push(Selected::Run { start, step, count });
                self.segments.push(Segment { output, inner: 0, part });
                return Ok(());
            }
        };
        let selected = self.selected.get_mut(part as usize).ok_or_else(|| Error::internal("no such part"))?;
        let inner = selected.len();
        selected.extend(start, step, count);
        if self.segments.last().is_some_and(|last| last.part == part) {
            return Ok(());
        }
        self.grouped = false;
        if self.segments.len() >= MAX_SEGMENTS {
            return Err(Error::resource_exhausted(format!(
                "the selected rows change between members more than {MAX_SEGMENTS} times: sort their positions"
            )));
        }
        self.segments.push(Segment { output, inner, part });
        Ok(())
    }

    fn finish(self) -> (Order, Vec<Part>) {
        let selection = |selected: Selected| match selected {
            Selected::Run { start, step, count } => AxisSelection::Range { start, step, count },
            Selected::Rows(rows) => AxisSelection::Indices(Arc::from(rows)),
        };
        let parts = self.members.into_iter().zip(self.selected.into_iter().map(selection)).collect();
        (Order { segments: self.segments, rows: self.rows, grouped: self.grouped }, parts)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn any_selection(length: u64) -> BoxedStrategy<AxisSelection> {
        if length == 0 {
            return Just(AxisSelection::all(0)).boxed();
        }
        let range = (0..length, -4_i64..=4, 0..=length).prop_map(move |(start, step, count)| {
            let step = if step == 0 { 1 } else { step };
            let room = if step > 0 { (length - 1 - start) / step.unsigned_abs() } else { start / step.unsigned_abs() };
            AxisSelection::Range { start, step, count: count.min(room + 1) }
        });
        let indices = prop::collection::vec(0..length, 0..20).prop_map(|rows| AxisSelection::Indices(rows.into()));
        prop_oneof![range, indices].boxed()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(500))]

        /// Against the list of (member, row) of every position.
        #[test]
        fn every_output_row_comes_from_its_member(
            (lengths, selection, bounds) in prop::collection::vec(0_u64..7, 1..6).prop_flat_map(|lengths| {
                let total = lengths.iter().sum();
                (Just(lengths), any_selection(total), (0_u64..25, 0_u64..25))
            })
        ) {
            let all: Vec<(usize, u64)> =
                lengths.iter().enumerate().flat_map(|(member, length)| (0..*length).map(move |row| (member, row))).collect();
            let expected: Vec<_> = selection.positions().into_iter().map(|at| all[at as usize]).collect();
            let (order, parts) = Order::split(&selection, &lengths).unwrap();
            prop_assert_eq!(order.rows(), expected.len() as u64);
            prop_assert!(parts.iter().all(|(_, rows)| !rows.is_empty()));
            let start = bounds.0.min(order.rows());
            let end = (start + bounds.1).min(order.rows());
            let mut found = Vec::new();
            for stretch in order.stretches(start..end) {
                let (member, rows) = &parts[stretch.part];
                found.extend(stretch.range.map(|at| (*member, rows.get(at).unwrap())));
            }
            prop_assert_eq!(&found, &expected[start as usize..end as usize]);
            let mut of_parts: Vec<_> = order.parts(start..end).into_iter().flat_map(|part| {
                let (member, rows) = parts[part.part].clone();
                part.range.map(move |at| (member, rows.get(at).unwrap())).collect::<Vec<_>>()
            }).collect();
            found.sort_unstable();
            of_parts.sort_unstable();
            prop_assert_eq!(found, of_parts);
            let mut changes: Vec<usize> = expected.iter().map(|(member, _)| *member).collect();
            changes.dedup();
            prop_assert_eq!(order.is_grouped(), changes.len() == parts.len());
        }
    }
}
