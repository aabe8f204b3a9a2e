//! Names that someone who asked for an unknown one may have meant. Pure.

/// Most names that are offered.
pub(crate) const OFFERED: usize = 5;

/// The names nearest to `asked`, best first: those that hold it or lie in it, then those few edits
/// away.
pub(crate) fn nearest(asked: &str, names: impl IntoIterator<Item = String>) -> Vec<String> {
    let asked = asked.to_lowercase();
    let allowed = (asked.chars().count() / 3).max(2);
    let mut ranked: Vec<(usize, String)> = Vec::new();
    for name in names {
        let lower = name.to_lowercase();
        let related = (asked.len() >= 3 && lower.contains(&asked)) || (lower.len() >= 3 && asked.contains(&lower));
        let rank = if related { Some(0) } else { distance(&asked, &lower, allowed) };
        ranked.extend(rank.map(|rank| (rank, name)));
        if ranked.len() > 100 {
            keep_best(&mut ranked);
        }
    }
    keep_best(&mut ranked);
    ranked.into_iter().map(|(_, name)| name).collect()
}

/// What an error says of near names, or nothing.
pub(crate) fn offer(names: &[String]) -> String {
    if names.is_empty() { String::new() } else { format!("; near matches: {}", names.join(", ")) }
}

fn keep_best(ranked: &mut Vec<(usize, String)>) {
    ranked.sort();
    ranked.truncate(OFFERED);
}

/// Insertions, deletions and replacements from one text to the other, when at most `allowed`.
fn distance(left: &str, right: &str, allowed: usize) -> Option<usize> {
    let right: Vec<char> = right.chars().collect();
    if left.chars().count().abs_diff(right.len()) > allowed {
        return None;
    }
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (place, from) in left.chars().enumerate() {
        let mut next = vec![place + 1];
        for (to, pair) in right.iter().zip(row.windows(2)) {
            let [diagonal, above] = pair else { continue };
            let before = next.last().copied().unwrap_or_default();
            next.push((diagonal + usize::from(from != *to)).min(above + 1).min(before + 1));
        }
        if next.iter().min().is_some_and(|best| *best > allowed) {
            return None;
        }
        row = next;
    }
    row.last().copied().filter(|edits| *edits <= allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn typing_errors_and_parts_of_names_are_found() {
        let names = ["lndb/pbmc68k.h5ad", "lndb/pbmc3k.h5ad", "other.parquet"].map(String::from);
        assert_eq!(nearest("lndb/pbmc68.h5ad", names.clone())[0], "lndb/pbmc68k.h5ad");
        assert_eq!(nearest("pbmc68k", names.clone()), ["lndb/pbmc68k.h5ad"]);
        assert_eq!(nearest("OTHER.PARQUET", names.clone()), ["other.parquet"]);
        assert!(nearest("nothing like it at all", names).is_empty());
    }

    #[test]
    fn edits_are_counted() {
        for (left, right, edits) in [("kitten", "sitting", 3), ("", "ab", 2), ("same", "same", 0), ("ab", "ba", 2)] {
            assert_eq!(distance(left, right, 10), Some(edits), "{left} {right}");
        }
        assert_eq!(distance("kitten", "sitting", 2), None);
    }

    #[test]
    fn few_are_offered_of_many() {
        assert_eq!(nearest("key", (0..1000).map(|number| format!("key{number}"))).len(), OFFERED);
    }
}
