//! Puts neighbouring byte ranges into one request. Pure.

use std::ops::Range;

/// One request, and which of the asked ranges lie wholly inside it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Coalesced {
    /// The bytes to fetch, half-open.
    pub range: Range<u64>,
    /// Places of the asked ranges in the caller's list, by ascending start.
    pub members: Vec<usize>,
}

/// The requests that cover `ranges`, by ascending start.
///
/// Two ranges share a request when at most `gap` unwanted bytes lie between them and the request
/// stays within `max_request` bytes. A single range longer than that is never split; it gets a request
/// of its own, together with the ranges inside it. Empty ranges are in no request.
pub fn coalesce(ranges: &[Range<u64>], gap: u64, max_request: u64) -> Vec<Coalesced> {
    let mut sorted: Vec<(usize, &Range<u64>)> =
        ranges.iter().enumerate().filter(|(_, range)| range.start < range.end).collect();
    sorted.sort_by_key(|(place, range)| (range.start, range.end, *place));
    let mut requests: Vec<Coalesced> = Vec::new();
    for (place, range) in sorted {
        match requests.last_mut() {
            Some(last) if joins(&last.range, range, gap, max_request) => {
                last.range.end = last.range.end.max(range.end);
                last.members.push(place);
            }
            _ => requests.push(Coalesced { range: range.clone(), members: vec![place] }),
        }
    }
    requests
}

/// The largest gap, at most `gap`, at which [`coalesce`] fetches no more than `unwanted` bytes that nobody asked for.
pub fn gap_within(ranges: &[Range<u64>], gap: u64, unwanted: u64) -> u64 {
    let mut sorted: Vec<&Range<u64>> = ranges.iter().filter(|range| range.start < range.end).collect();
    sorted.sort_by_key(|range| range.start);
    let mut end = sorted.first().map_or(0, |range| range.start);
    let mut gaps = Vec::new();
    for range in sorted {
        gaps.push(range.start.saturating_sub(end));
        end = end.max(range.end);
    }
    gaps.retain(|between| (1..=gap).contains(between));
    gaps.sort_unstable();
    let mut total = 0_u64;
    let over = gaps.iter().find(|between| {
        total = total.saturating_add(**between);
        total > unwanted
    });
    // Gaps of the same length are all filled, or none is.
    over.map_or(gap, |between| between - 1)
}

/// Whether `next`, which starts no earlier, may join the request `current`.
fn joins(current: &Range<u64>, next: &Range<u64>, gap: u64, max_request: u64) -> bool {
    if next.end <= current.end {
        return true;
    }
    let near = next.start <= current.end.saturating_add(gap);
    near && next.end.saturating_sub(current.start) <= max_request
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SPACE: usize = 300;

    fn ranges() -> impl Strategy<Value = Vec<Range<u64>>> {
        prop::collection::vec((0..250_u64, 0..50_u64).prop_map(|(start, length)| start..start + length), 0..20)
    }

    /// One flag per byte: whether a range wants it.
    fn wanted(ranges: &[Range<u64>]) -> Vec<bool> {
        (0..SPACE as u64).map(|byte| ranges.iter().any(|range| range.contains(&byte))).collect()
    }

    /// Runs of wanted bytes, joined over holes of at most `gap`: the answer without a size bound.
    fn oracle(ranges: &[Range<u64>], gap: u64) -> Vec<Range<u64>> {
        let mut runs: Vec<Range<u64>> = Vec::new();
        for (byte, _) in wanted(ranges).iter().enumerate().filter(|(_, wanted)| **wanted) {
            let byte = byte as u64;
            match runs.last_mut() {
                Some(run) if byte - run.end <= gap => run.end = byte + 1,
                _ => runs.push(byte..byte + 1),
            }
        }
        runs
    }

    proptest! {
        #[test]
        fn without_a_bound_requests_are_the_runs(ranges in ranges(), gap in 0..40_u64) {
            let found: Vec<_> = coalesce(&ranges, gap, u64::MAX).into_iter().map(|request| request.range).collect();
            prop_assert_eq!(found, oracle(&ranges, gap));
        }

        #[test]
        fn every_range_is_whole_in_one_request_within_the_bound(
            ranges in ranges(), gap in 0..40_u64, bound in 1..120_u64,
        ) {
            let requests = coalesce(&ranges, gap, bound);
            let mut seen = vec![0; ranges.len()];
            for request in &requests {
                let longest = request.members.iter().map(|place| ranges[*place].end - ranges[*place].start).max();
                let length = request.range.end - request.range.start;
                prop_assert!(length <= bound.max(longest.unwrap_or(0)));
                let start = request.members.iter().map(|place| ranges[*place].start).min();
                let end = request.members.iter().map(|place| ranges[*place].end).max();
                prop_assert_eq!(Some(request.range.clone()), start.zip(end).map(|(start, end)| start..end));
                let inside: Vec<_> = request.members.iter().map(|place| ranges[*place].clone()).collect();
                prop_assert_eq!(oracle(&inside, gap).len(), 1);
                request.members.iter().for_each(|place| seen[*place] += 1);
            }
            for (range, seen) in ranges.iter().zip(seen) {
                prop_assert_eq!(seen, usize::from(range.start < range.end));
            }
            prop_assert!(requests.windows(2).all(|pair| pair[0].range.start <= pair[1].range.start));
        }
    }

    proptest! {
        #[test]
        fn a_gap_within_bounds_is_the_largest_of_them(ranges in ranges(), gap in 0..40_u64, unwanted in 0..60_u64) {
            let fetched = |gap| coalesce(&ranges, gap, u64::MAX).iter().map(|request| request.range.end - request.range.start).sum::<u64>();
            let wanted = wanted(&ranges).iter().filter(|wanted| **wanted).count() as u64;
            let found = gap_within(&ranges, gap, unwanted);
            prop_assert!(found <= gap && fetched(found) - wanted <= unwanted);
            prop_assert!(found == gap || fetched(found + 1) - wanted > unwanted);
        }
    }

    #[test]
    fn the_end_of_the_number_line_does_not_overflow() {
        let ranges = [u64::MAX - 4..u64::MAX, 0..3, u64::MAX - 10..u64::MAX - 8];
        let found = coalesce(&ranges, u64::MAX, u64::MAX);
        assert_eq!(found, [Coalesced { range: 0..u64::MAX, members: vec![1, 2, 0] }]);
    }
}
