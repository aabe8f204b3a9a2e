//! JSON as zarr's writers write it.
//!
//! Python's writer puts the bare words `NaN`, `Infinity` and `-Infinity` into attributes, which JSON
//! does not know; they are read as texts of the same letters, which is also how zarr spells such
//! fill values. Everything else that is not JSON is corrupt.

use serde_json::Value;

use crate::error::{Error, Result};

/// The words of Python's writer that are not JSON; the longer first.
const WORDS: [&[u8]; 3] = [b"-Infinity", b"Infinity", b"NaN"];

/// The document in `text`; `object` names it in errors.
///
/// # Errors
/// `DataLoss` when it is not JSON.
pub(super) fn parse(text: &[u8], object: &str) -> Result<Value> {
    let first = match serde_json::from_slice(text) {
        Ok(value) => return Ok(value),
        Err(error) => error,
    };
    match quote_words(text).map(|quoted| serde_json::from_slice(&quoted)) {
        Some(Ok(value)) => Ok(value),
        _ => Err(Error::data_loss(format!("object '{object}' is not JSON: {first}")).with_source(first)),
    }
}

/// `text` with the bare words as texts; `None` when it holds none.
fn quote_words(text: &[u8]) -> Option<Vec<u8>> {
    let mut quoted = Vec::with_capacity(text.len());
    let (mut rest, mut in_text, mut found) = (text, false, false);
    while let Some((&byte, after)) = rest.split_first() {
        let word = WORDS.into_iter().find(|word| !in_text && rest.starts_with(word));
        let taken = match (word, byte) {
            (Some(word), _) => {
                found = true;
                quoted.push(b'"');
                quoted.extend_from_slice(word);
                quoted.push(b'"');
                rest = rest.get(word.len()..)?;
                continue;
            }
            (None, b'\\') if in_text => 2.min(rest.len()),
            (None, b'"') => {
                in_text = !in_text;
                1
            }
            (None, _) => 1,
        };
        match taken {
            1 => quoted.push(byte),
            _ => quoted.extend_from_slice(rest.get(..taken)?),
        }
        rest = after.get(taken - 1..)?;
    }
    found.then_some(quoted)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::parse;

    #[test]
    fn bare_words_become_texts_only_outside_texts() {
        let text = r#"{"a": NaN, "b": [Infinity, -Infinity], "c\"NaN": "-Infinity \\", "d": -1}"#;
        let expected = json!({"a": "NaN", "b": ["Infinity", "-Infinity"], "c\"NaN": "-Infinity \\", "d": -1});
        assert_eq!(parse(text.as_bytes(), "x").unwrap(), expected);
    }

    #[test]
    fn what_is_not_json_names_the_object() {
        for text in ["", "{", "{\"a\": NaN", "nonsense", "{\"a\": \"NaN", "\"\\"] {
            let error = parse(text.as_bytes(), "a/zarr.json").unwrap_err();
            assert!(error.message().contains("'a/zarr.json' is not JSON"), "{text}: {error:?}");
        }
    }
}
