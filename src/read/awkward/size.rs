//! How much of an awkward array there is, without reading it.

use crate::format::anndata::awkward::Form;
use crate::model::selection::AxisSelection;
use crate::model::tree::Tree;

/// Bytes of all buffers of `form`.
pub(super) fn total_bytes(tree: &Tree, form: &Form) -> u64 {
    let bytes = |path: &String| {
        let array = tree.array(path).ok();
        array.map_or(0, |array| {
            let count = array.shape.first().copied().unwrap_or(0);
            count.saturating_mul(array.data_type.item_size() as u64)
        })
    };
    let parts: Vec<u64> = match form {
        Form::Empty => Vec::new(),
        Form::Values { data } => vec![bytes(data)],
        Form::Text { offsets, data, .. } => vec![bytes(offsets), bytes(data)],
        Form::List { offsets, content } => vec![bytes(offsets), total_bytes(tree, content)],
        Form::ListRanges { starts, stops, content } => {
            vec![bytes(starts), bytes(stops), total_bytes(tree, content)]
        }
        Form::FixedList { content, .. } => vec![total_bytes(tree, content)],
        Form::Record { fields } => fields.iter().map(|(_, form)| total_bytes(tree, form)).collect(),
        Form::Indexed { index: of, content, .. } | Form::Masked { mask: of, content, .. } => {
            vec![bytes(of), total_bytes(tree, content)]
        }
    };
    parts.into_iter().fold(0, u64::saturating_add)
}

/// Elements that `form` has in all, as its first buffer tells.
pub(super) fn length(tree: &Tree, form: &Form) -> u64 {
    let of = |path: &str| tree.array(path).ok().and_then(|array| array.shape.first().copied()).unwrap_or(0);
    match form {
        Form::Empty => 0,
        Form::Values { data } => of(data),
        Form::Text { offsets, .. } | Form::List { offsets, .. } => of(offsets).saturating_sub(1),
        Form::ListRanges { starts, .. } => of(starts),
        Form::FixedList { size, content } => length(tree, content) / (*size).max(1),
        Form::Record { fields } => fields.iter().map(|(_, form)| length(tree, form)).min().unwrap_or(0),
        Form::Indexed { index, .. } => of(index),
        Form::Masked { content, .. } => length(tree, content),
    }
}

/// Average bytes of one element of `form`, rounded up.
pub(super) fn average_bytes(tree: &Tree, form: &Form) -> u64 {
    total_bytes(tree, form).div_ceil(length(tree, form).max(1)).max(1)
}

/// The buffers that are read first for `rows`, and what of them.
pub(super) fn outermost<'a>(form: &'a Form, rows: &AxisSelection) -> Vec<(&'a str, AxisSelection)> {
    match form {
        Form::Empty | Form::FixedList { .. } => Vec::new(),
        Form::Values { data } => vec![(data, rows.clone())],
        Form::Text { offsets, .. } | Form::List { offsets, .. } => vec![(offsets, bounds(rows))],
        Form::ListRanges { starts, stops, .. } => vec![(starts, rows.clone()), (stops, rows.clone())],
        Form::Record { fields } => fields.iter().flat_map(|(_, form)| outermost(form, rows)).collect(),
        Form::Indexed { index, .. } => vec![(index, rows.clone())],
        Form::Masked { bits: Some(_), .. } => Vec::new(),
        Form::Masked { mask, bits: None, content, .. } => {
            [(mask.as_str(), rows.clone())].into_iter().chain(outermost(content, rows)).collect()
        }
    }
}

/// The offsets that bound the lists at `rows`: one more than there are for rows in a row, a pair for
/// each otherwise ([`is_consecutive`]).
pub(super) fn bounds(rows: &AxisSelection) -> AxisSelection {
    match rows {
        AxisSelection::Range { start, step: 1, count } => {
            AxisSelection::Range { start: *start, step: 1, count: count.saturating_add(1) }
        }
        other => AxisSelection::Spans(other.positions().into_iter().map(|row| (row, row.saturating_add(2))).collect()),
    }
}

/// Whether [`bounds`] of `rows` are one more than the rows.
pub(super) fn is_consecutive(rows: &AxisSelection) -> bool {
    matches!(rows, AxisSelection::Range { step: 1, .. })
}
