//! Which entries of one archive are read together. Pure.

use std::ops::Range;

use super::requests::{Merging, Request, total};
use crate::model::coalesce::coalesce;

/// A whole object that lies in the one object that holds all.
#[derive(Debug)]
pub(super) struct Entry<'a> {
    /// Its path below the artifact's root.
    pub(super) path: &'a str,
    /// Bytes of its content.
    pub(super) length: u64,
    /// Where it lies, with what is stored around it.
    pub(super) place: Range<u64>,
    /// The task that it serves.
    pub(super) task: usize,
}

/// The requests for `entries`: those that lie near each other share one, as ranges of an object do. An entry
/// that shares with none is asked for by its name.
pub(super) fn together(entries: &[Entry<'_>], merging: Merging) -> Vec<Request> {
    let places: Vec<Range<u64>> = entries.iter().map(|entry| entry.place.clone()).collect();
    let longest = merging.longest_of(total(places.iter()));
    let mut requests = Vec::new();
    for group in coalesce(&places, merging.gap, longest) {
        let members: Vec<&Entry<'_>> = group.members.iter().filter_map(|place| entries.get(*place)).collect();
        let mut rest = members.as_slice();
        while let Some(count) = fitting(rest, longest) {
            let (now, later) = rest.split_at(count);
            requests.extend(request(now));
            rest = later;
        }
    }
    requests
}

/// How many of the first `entries` take at most `longest` bytes once they are unpacked, at least one; none when
/// there are none.
fn fitting(entries: &[&Entry<'_>], longest: u64) -> Option<usize> {
    let mut bytes = 0_u64;
    let fits = entries.iter().take_while(|entry| {
        bytes = bytes.saturating_add(entry.length);
        bytes <= longest
    });
    let count = fits.count();
    (!entries.is_empty()).then_some(count.max(1))
}

fn request(entries: &[&Entry<'_>]) -> Option<Request> {
    let members = entries.iter().map(|entry| (entry.task, None)).collect();
    if let [entry] = entries {
        let (object, range) = (Some(entry.path.to_owned()), Some(0..entry.length));
        return Some(Request { object, range, members, ..Request::default() });
    }
    let start = entries.iter().map(|entry| entry.place.start).min()?;
    let end = entries.iter().map(|entry| entry.place.end).max()?;
    Some(Request {
        range: Some(start..end),
        entries: entries.iter().map(|entry| entry.path.to_owned()).collect(),
        unpacked: entries.iter().fold(0, |bytes, entry| bytes.saturating_add(entry.length)),
        members,
        ..Request::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn merged(places: &[(u64, u64, u64)], gap: u64, longest: u64) -> Vec<(Option<Range<u64>>, Vec<usize>)> {
        let entry = |(task, (start, end, length)): (usize, &(u64, u64, u64))| Entry {
            path: "entry",
            length: *length,
            place: *start..*end,
            task,
        };
        let entries: Vec<_> = places.iter().enumerate().map(entry).collect();
        let merging = Merging { gap, longest, spread: 1, frugal: false };
        let requests = together(&entries, merging).into_iter();
        requests.map(|one| (one.range, one.members.into_iter().map(|(task, _)| task).collect())).collect()
    }

    #[test]
    fn neighbours_share_a_request_in_the_order_of_the_archive() {
        let places = [(300, 420, 50), (0, 110, 60), (100, 210, 60), (1000, 1100, 40)];
        assert_eq!(merged(&places, 100, 4096), [(Some(0..420), vec![1, 2, 0]), (Some(0..40), vec![3])]);
        assert_eq!(
            merged(&places, 0, 4096),
            [(Some(0..210), vec![1, 2]), (Some(0..50), vec![0]), (Some(0..40), vec![3])]
        );
    }

    #[test]
    fn what_unpacks_to_much_is_not_read_together() {
        let places = [(0, 10, 3000), (10, 20, 2000), (20, 30, 1000), (30, 40, 9000)];
        let found = merged(&places, 16, 4096);
        assert_eq!(found, [(Some(0..3000), vec![0]), (Some(10..30), vec![1, 2]), (Some(0..9000), vec![3])]);
    }

    #[test]
    fn requests_are_no_longer_than_the_bound() {
        let places: Vec<_> = (0..100).map(|at| (at * 1000, at * 1000 + 1000, 900)).collect();
        let found = merged(&places, 16, 8000);
        assert_eq!(found.iter().map(|(_, tasks)| tasks.len()).sum::<usize>(), 100);
        assert!(found.iter().all(|(range, _)| range.as_ref().is_some_and(|range| range.end - range.start <= 8000)));
        assert_eq!(found.len(), 13);
    }

    #[test]
    fn nothing_asks_for_nothing() {
        assert_eq!(merged(&[], 16, 8000), []);
    }
}
