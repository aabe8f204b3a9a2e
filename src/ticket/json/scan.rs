//! Counts the nesting and the values of JSON bytes before they are parsed, so that a small text
//! cannot become a large tree.

use crate::error::{Error, Result};
use crate::ticket::limits::{MAX_JSON_DEPTH, MAX_JSON_ITEMS};

/// Checks depth and number of values.
///
/// # Errors
/// `ResourceExhausted` naming the limit and its value.
pub(super) fn check_size(bytes: &[u8]) -> Result<()> {
    let (mut depth, mut items, mut in_text, mut escaped) = (0_usize, 1_usize, false, false);
    for byte in bytes {
        if in_text {
            in_text = escaped || *byte != b'"';
            escaped = !escaped && *byte == b'\\';
            continue;
        }
        match byte {
            b'"' => in_text = true,
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.saturating_sub(1),
            b',' => items += 1,
            _ => {}
        }
        if depth > MAX_JSON_DEPTH {
            return Err(Error::resource_exhausted(format!("JSON request is nested deeper than {MAX_JSON_DEPTH}")));
        }
    }
    if items > MAX_JSON_ITEMS {
        return Err(Error::resource_exhausted(format!(
            "JSON request has {items} values, the limit is {MAX_JSON_ITEMS}; send long lists and masks as protobuf"
        )));
    }
    Ok(())
}
