//! Copies the selected elements of a chunk to their places in the answer.

use std::sync::Arc;

use crate::error::{Error, Result};
use crate::model::selection::Run;

/// `count` elements: from `source`, `source + step`, … to `destination`, `destination + 1`, …
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// First element in the chunk, in C order.
    pub source: usize,
    /// Distance between source elements.
    pub step: isize,
    /// First element in the answer, in C order.
    pub destination: usize,
    /// Number of elements.
    pub count: usize,
}

/// Calls `visit` with the spans that move the elements selected by `runs` (one list per axis) from an
/// array of `source_shape` to one of `destination_shape`, both in C order.
///
/// # Errors
/// `Internal` when a run leaves either shape; the error of `visit`.
pub fn for_each_span(
    source_shape: &[u64],
    destination_shape: &[u64],
    runs: &[Arc<[Run]>],
    visit: &mut impl FnMut(Span) -> Result<()>,
) -> Result<()> {
    check(source_shape, destination_shape, runs)?;
    // Trailing axes that are copied whole move as one: `block` elements at a time.
    let mut axes = runs.len();
    let mut block = 1_usize;
    while axes > 0 && is_whole(source_shape[axes - 1], destination_shape[axes - 1], &runs[axes - 1]) {
        block = block.saturating_mul(source_shape[axes - 1] as usize);
        axes -= 1;
    }
    let walk = Walk { source_shape, destination_shape, runs: &runs[..axes], block };
    walk.axis(0, 0, 0, visit)
}

/// The only span that moves the elements selected by `runs`, where one does: all of it lies together in either array.
pub fn one_span(source_shape: &[u64], destination_shape: &[u64], runs: &[Arc<[Run]>]) -> Option<Span> {
    check(source_shape, destination_shape, runs).ok()?;
    let ([run], rest) = runs.split_first().map(|(first, rest)| (first.as_ref(), rest))? else { return None };
    let is_whole = |axis: usize| is_whole(source_shape[axis], destination_shape[axis], &runs[axis]);
    if (run.step != 1 && run.count != 1) || !(1..=rest.len()).all(is_whole) {
        return None;
    }
    let block = source_shape[1..].iter().product::<u64>() as usize;
    let (start, count) = (run.start as usize * block, run.count as usize * block);
    Some(Span { source: start, step: 1, destination: run.destination as usize * block, count })
}

/// [`for_each_span`] over elements of `item` bytes: copies them.
///
/// # Errors
/// `Internal` when the buffers do not have the size of their shapes.
pub fn copy_elements(
    source: (&[u8], &[u64]),
    destination: (&mut [u8], &[u64]),
    runs: &[Arc<[Run]>],
    item: usize,
) -> Result<()> {
    let outside = || Error::internal("a copied span leaves its buffer");
    let (target, shape) = destination;
    for_each_span(source.1, shape, runs, &mut |span| {
        let to = span.destination.checked_mul(item).zip(span.count.checked_mul(item)).ok_or_else(outside)?;
        let target = target.get_mut(to.0..to.0.checked_add(to.1).ok_or_else(outside)?).ok_or_else(outside)?;
        if span.step == 1 {
            let start = span.source.checked_mul(item).ok_or_else(outside)?;
            let bytes = source.0.get(start..start.saturating_add(to.1)).ok_or_else(outside)?;
            target.copy_from_slice(bytes);
            return Ok(());
        }
        for (index, place) in target.chunks_exact_mut(item.max(1)).enumerate() {
            let element = span.source.wrapping_add_signed(span.step.wrapping_mul(index as isize));
            let start = element.checked_mul(item).ok_or_else(outside)?;
            place.copy_from_slice(source.0.get(start..start.saturating_add(item)).ok_or_else(outside)?);
        }
        Ok(())
    })
}

/// Every run stays inside both shapes.
fn check(source_shape: &[u64], destination_shape: &[u64], runs: &[Arc<[Run]>]) -> Result<()> {
    let inside = source_shape.len() == runs.len()
        && destination_shape.len() == runs.len()
        && runs.iter().zip(source_shape.iter().zip(destination_shape)).all(|(runs, (source, destination))| {
            runs.iter().all(|run| {
                run.count == 0
                    || (run.start < *source && run.last() < *source && run.destination + run.count <= *destination)
            })
        });
    if inside { Ok(()) } else { Err(Error::internal("a planned run leaves its chunk or its answer")) }
}

/// Whether the axis is copied whole and in order.
fn is_whole(source: u64, destination: u64, runs: &[Run]) -> bool {
    source == destination && matches!(runs, [run] if *run == Run { start: 0, step: 1, count: source, destination: 0 })
}

struct Walk<'a> {
    source_shape: &'a [u64],
    destination_shape: &'a [u64],
    runs: &'a [Arc<[Run]>],
    block: usize,
}

impl Walk<'_> {
    fn axis(
        &self,
        axis: usize,
        source: usize,
        destination: usize,
        visit: &mut impl FnMut(Span) -> Result<()>,
    ) -> Result<()> {
        let Some(runs) = self.runs.get(axis) else {
            let (source, destination) = (source * self.block, destination * self.block);
            return visit(Span { source, step: 1, destination, count: self.block });
        };
        let source = source * self.source_shape[axis] as usize;
        let destination = destination * self.destination_shape[axis] as usize;
        let last = axis + 1 == self.runs.len();
        for run in runs.iter() {
            let (start, target, count) = (run.start as usize, run.destination as usize, run.count as usize);
            if last && (self.block == 1 || run.step == 1) {
                visit(Span {
                    source: (source + start) * self.block,
                    step: run.step as isize,
                    destination: (destination + target) * self.block,
                    count: count * self.block,
                })?;
                continue;
            }
            for index in 0..count {
                let position = start.wrapping_add_signed(run.step as isize * index as isize);
                self.axis(axis + 1, source + position, destination + target + index, visit)?;
            }
        }
        Ok(())
    }
}
