//! NumPy's spelling of a slice (`0:100, ::2, ..., -1, [1, 2, 5]`) to selectors per axis.
//!
//! Reads text only; what the selectors mean on an axis is decided in [`super::axis`]. Understands
//! integers, slices, lists of integers and one ellipsis. `None`/`newaxis` and boolean words are
//! refused: a slice never adds an axis, and a mask has its own selector.

use crate::error::{Error, Result};
use crate::model::request::Selector;

/// Longest text, in bytes.
pub const MAX_TEXT_BYTES: usize = 64 * 1024;

/// The selectors of each of `dimensions` axes; axes that the text does not name are taken whole.
///
/// # Errors
/// `InvalidArgument` saying what is wrong with which part of the text; `ResourceExhausted` beyond
/// [`MAX_TEXT_BYTES`].
pub fn parse(text: &str, dimensions: usize) -> Result<Vec<Vec<Selector>>> {
    if text.len() > MAX_TEXT_BYTES {
        let found = text.len();
        return Err(Error::resource_exhausted(format!(
            "slice of {found} bytes, at most {MAX_TEXT_BYTES} are possible"
        )));
    }
    let mut items = split(text)?;
    if items.len() > 1 && items.last().is_some_and(|item| item.is_empty()) {
        items.pop();
    }
    let (before, after) = around_ellipsis(&items)?;
    let named = before.len() + after.len();
    if named > dimensions {
        return Err(Error::invalid(format!("slice {text:?} names {named} axes, the array has {dimensions}")));
    }
    let mut axes = before.iter().map(|item| axis(item)).collect::<Result<Vec<_>>>()?;
    axes.resize(dimensions - after.len(), vec![Selector::All]);
    for item in after {
        axes.push(axis(item)?);
    }
    Ok(axes)
}

/// The parts between commas that are not inside a list.
fn split(text: &str) -> Result<Vec<&str>> {
    let mut items = Vec::new();
    let (mut start, mut depth) = (0, 0_u32);
    for (offset, character) in text.char_indices() {
        match character {
            '[' if depth > 0 => return Err(Error::invalid(format!("slice {text:?} has a list within a list"))),
            '[' => depth += 1,
            ']' if depth == 0 => return Err(Error::invalid(format!("slice {text:?} closes a list it did not open"))),
            ']' => depth -= 1,
            ',' if depth == 0 => {
                items.push(text.get(start..offset).unwrap_or_default().trim());
                start = offset + 1;
            }
            _ => {}
        }
    }
    if depth > 0 {
        return Err(Error::invalid(format!("slice {text:?} does not close its list")));
    }
    items.push(text.get(start..).unwrap_or_default().trim());
    Ok(items)
}

/// What stands before and after the ellipsis; without one everything stands before it.
fn around_ellipsis<'a, 'b>(items: &'b [&'a str]) -> Result<(&'b [&'a str], &'b [&'a str])> {
    let mut places = items.iter().enumerate().filter(|(_, item)| is_ellipsis(item)).map(|(place, _)| place);
    match (places.next(), places.next()) {
        (_, Some(_)) => Err(Error::invalid("slice has more than one ellipsis, expected at most one")),
        (Some(place), None) => {
            let (before, rest) = items.split_at(place);
            Ok((before, rest.get(1..).unwrap_or_default()))
        }
        (None, None) => Ok((items, &[])),
    }
}

fn is_ellipsis(item: &str) -> bool {
    item == "..." || item == "Ellipsis"
}

fn axis(item: &str) -> Result<Vec<Selector>> {
    if let Some(list) = item.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        return Ok(vec![Selector::Index(integers(list)?)]);
    }
    if item == ":" {
        return Ok(vec![Selector::All]);
    }
    let parts: Vec<&str> = item.split(':').map(str::trim).collect();
    match parts.as_slice() {
        [index] => Ok(vec![Selector::Integer(integer(index)?)]),
        [start, stop] => Ok(vec![Selector::Slice { start: bound(start)?, stop: bound(stop)?, step: None }]),
        [start, stop, step] => {
            let step = bound(step)?;
            if step == Some(0) {
                return Err(Error::invalid(format!("step of slice {item:?} is 0")));
            }
            Ok(vec![Selector::Slice { start: bound(start)?, stop: bound(stop)?, step }])
        }
        _ => Err(Error::invalid(format!("slice {item:?} has {} colons, expected at most 2", parts.len() - 1))),
    }
}

fn integers(list: &str) -> Result<Vec<i64>> {
    let mut parts: Vec<&str> = list.split(',').map(str::trim).collect();
    if parts.last().is_some_and(|part| part.is_empty()) {
        parts.pop();
    }
    parts.into_iter().map(integer).collect()
}

fn bound(text: &str) -> Result<Option<i64>> {
    if text.is_empty() || text == "None" { Ok(None) } else { integer(text).map(Some) }
}

/// A decimal integer as Python writes it; no underscores, no leading zeros.
fn integer(text: &str) -> Result<i64> {
    match text {
        "" => return Err(Error::invalid("slice has an empty place, expected an integer, a slice or a list")),
        "None" | "newaxis" | "np.newaxis" => {
            return Err(Error::invalid(format!("{text} in a slice would add an axis, which is not possible")));
        }
        "True" | "False" | "true" | "false" => {
            return Err(Error::invalid(format!("{text} in a slice: a mask has its own selector")));
        }
        _ => {}
    }
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    let padded = digits.starts_with('0') && digits.bytes().any(|digit| digit != b'0');
    if digits.is_empty() || padded || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return Err(Error::invalid(format!("{text:?} in a slice is no integer, slice, list or ellipsis")));
    }
    text.parse().map_err(|_| Error::invalid(format!("{text} in a slice does not fit in 64 bits")))
}

#[cfg(test)]
mod tests;
