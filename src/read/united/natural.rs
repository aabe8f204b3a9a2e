//! The order in which `natsort.natsorted` puts texts: runs of digits compare as numbers.

use icu_normalizer::DecomposingNormalizerBorrowed;

use crate::error::{Error, Result};

/// What a text is compared by: texts and numbers in turn, a text first. natsort's default key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key(Vec<(String, Number)>);

/// A number of any length: how many digits, and which, without leading zeros. A text at the end is
/// followed by the least of all numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Number(Option<(usize, String)>);

/// The key of `text`.
///
/// # Errors
/// `Unimplemented` for digits other than ASCII's, whose values natsort takes from Unicode's tables.
pub(super) fn key(text: &str) -> Result<Key> {
    if let Some(digit) = text.chars().find(|letter| letter.is_numeric() && !letter.is_ascii()) {
        return Err(Error::unimplemented(format!("the natural order of {text:?}, as {digit:?} is no ASCII digit")));
    }
    let text = DecomposingNormalizerBorrowed::new_nfd().normalize(text);
    let mut rest: &str = &text;
    let mut parts = Vec::new();
    while !rest.is_empty() {
        let (words, others) = rest.split_at(rest.find(|letter: char| letter.is_ascii_digit()).unwrap_or(rest.len()));
        let end = others.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(others.len());
        let (digits, others) = others.split_at(end);
        let significant = digits.trim_start_matches('0');
        let number = (!digits.is_empty()).then(|| (significant.len(), significant.to_owned()));
        parts.push((words.to_owned(), Number(number)));
        rest = others;
    }
    Ok(Key(parts))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What natsort 8 gives for these, which are in the reverse order of their code points before.
    #[test]
    fn texts_have_the_order_of_natsort() {
        let expected = [
            "", "1a", "9", "10", " x", "A1", "_", "a", "a01", "a1", "a9b2", "a9b10", "a10", "a10b", "a 2", "a-2", "é",
            "f", "z",
        ];
        let mut found = expected.to_vec();
        found.sort_unstable();
        found.sort_by_cached_key(|text| key(text).unwrap());
        assert_eq!(found, expected);
        let long = ["x9", "x18446744073709551617", "x99999999999999999999999"];
        assert!(long.windows(2).all(|pair| key(pair[0]).unwrap() < key(pair[1]).unwrap()));
        assert!(key("m²").unwrap_err().to_string().contains("m²"));
    }
}
