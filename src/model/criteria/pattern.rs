//! Patterns of keys, with the meaning of SQLite's GLOB.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// A key, or a pattern of keys: `*` is any text, also with `/`, `?` one character, `[a-z]` one of these
/// characters and `[^a-z]` one of the others. A `[` itself is written `[[]`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct KeyPattern(String);

impl KeyPattern {
    /// Reads a pattern.
    ///
    /// # Errors
    /// `InvalidArgument` for a `[` without its `]`.
    pub fn parse(text: impl Into<String>) -> Result<Self> {
        let text = text.into();
        let mut rest = text.as_str();
        while let Some(at) = rest.find('[') {
            let set = rest.get(at + 1..).unwrap_or_default();
            let (_, after) = split_set(set).ok_or_else(|| {
                Error::invalid(format!("the pattern {text:?} has a '[' without its ']' (a '[' itself is written [[])"))
            })?;
            rest = after;
        }
        Ok(Self(text))
    }

    /// The pattern as it was written, which is SQLite's own form.
    pub fn text(&self) -> &str {
        &self.0
    }

    /// Whether only the key that is this text matches.
    pub fn is_exact(&self) -> bool {
        !self.0.contains(['*', '?', '['])
    }

    /// What every key that matches begins with.
    pub fn literal_prefix(&self) -> &str {
        self.0.split(['*', '?', '[']).next().unwrap_or_default()
    }

    /// Whether a key matches.
    pub fn matches(&self, key: &str) -> bool {
        let (pattern, key) = (self.0.as_str(), key);
        // The last `*` and the key from where it was tried: only that one is ever taken back.
        let (mut at, mut star) = ((pattern, key), None);
        loop {
            let (pattern, key) = at;
            if let Some(after) = pattern.strip_prefix('*') {
                star = Some((after, key));
                at = (after, key);
                continue;
            }
            let Some(found) = key.chars().next() else { return pattern.is_empty() };
            if let Some(rest) = one(pattern, found) {
                at = (rest, key.get(found.len_utf8()..).unwrap_or_default());
                continue;
            }
            let Some((after, tried)) = star else { return false };
            let Some(skipped) = tried.chars().next() else { return false };
            let tried = tried.get(skipped.len_utf8()..).unwrap_or_default();
            star = Some((after, tried));
            at = (after, tried);
        }
    }
}

/// What of the pattern is left when its first part, which is no `*`, takes `found`.
fn one(pattern: &str, found: char) -> Option<&str> {
    let first = pattern.chars().next()?;
    let rest = pattern.get(first.len_utf8()..)?;
    match first {
        '?' => Some(rest),
        '[' => {
            let (set, rest) = split_set(rest)?;
            holds(set, found).then_some(rest)
        }
        _ => (first == found).then_some(rest),
    }
}

/// The set after a `[`, and what comes after its `]`. A `]` at the start is one of the characters.
fn split_set(text: &str) -> Option<(&str, &str)> {
    let negation = usize::from(text.starts_with('^'));
    let literal = usize::from(text.get(negation..)?.starts_with(']'));
    let end = text.get(negation + literal..)?.find(']')? + negation + literal;
    Some((text.get(..end)?, text.get(end + 1..)?))
}

fn holds(set: &str, found: char) -> bool {
    let (inverted, set) = set.strip_prefix('^').map_or((false, set), |set| (true, set));
    // As SQLite: a `]` at the start begins no range.
    let (mut seen, set) = set.strip_prefix(']').map_or((false, set), |set| (found == ']', set));
    let set: Vec<char> = set.chars().collect();
    let mut rest = set.as_slice();
    let mut before = None;
    while let [first, after @ ..] = rest {
        // A range begins with the character before, and ends it.
        if let (Some(low), '-', [high, beyond @ ..]) = (before, *first, after) {
            seen |= (low..=*high).contains(&found);
            (before, rest) = (None, beyond);
            continue;
        }
        seen |= *first == found;
        (before, rest) = (Some(*first), after);
    }
    seen != inverted
}

impl TryFrom<String> for KeyPattern {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        Self::parse(text)
    }
}

impl From<KeyPattern> for String {
    fn from(pattern: KeyPattern) -> Self {
        pattern.0
    }
}
