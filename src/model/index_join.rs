//! Joins of indexes (names of variables, categories), in the order in which `pandas.Index` gives them.
//! Pure.

use std::collections::HashSet;
use std::hash::Hash;

/// `Index.union` of two indexes without duplicates: the first as it is when the other adds nothing
/// because it is empty or the same, the other when the first is empty, else all elements sorted.
pub fn union<T: Ord + Hash + Clone>(first: Vec<T>, other: &[T]) -> Vec<T> {
    if other.is_empty() || first == other {
        return first;
    }
    if first.is_empty() {
        return other.to_vec();
    }
    let mut all: Vec<T> = first.into_iter().chain(other.iter().cloned()).collect();
    all.sort_unstable();
    all.dedup();
    all
}

/// `Index.intersection` of two indexes without duplicates: the elements of the first that the other
/// has, in the order of the first.
pub fn intersection<T: Eq + Hash>(mut first: Vec<T>, other: &[T]) -> Vec<T> {
    let known: HashSet<&T> = other.iter().collect();
    first.retain(|element| known.contains(element));
    first
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What pandas 2.3 gives for `reduce(Index.union, …)` and `reduce(Index.intersection, …)`.
    #[test]
    fn joins_have_the_order_of_pandas() {
        let unions: [(&[&[&str]], &[&str]); 6] = [
            (&[&["b", "a"], &["b", "a"]], &["b", "a"]),
            (&[&["b", "a"], &["b"]], &["a", "b"]),
            (&[&["b", "a"], &[]], &["b", "a"]),
            (&[&[], &["b", "a"]], &["b", "a"]),
            (&[&["b", "a"], &["b", "a"], &["é", "Z"]], &["Z", "a", "b", "é"]),
            (&[&["g2", "g10"], &["g1"]], &["g1", "g10", "g2"]),
        ];
        for (lists, expected) in unions {
            let found = lists[1..].iter().fold(lists[0].to_vec(), |all, list| union(all, list));
            assert_eq!(found, expected, "{lists:?}");
        }
        assert_eq!(intersection(vec!["c", "a", "b"], &["b", "c", "d"]), ["c", "b"]);
        assert_eq!(intersection(vec!["a"], &[]), [] as [&str; 0]);
    }
}
