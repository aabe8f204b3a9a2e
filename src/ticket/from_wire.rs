//! The wire message as the model's request, with everything checked that needs no artifact.

use super::wire;
use crate::error::{Error, Result};
use crate::model::request::{Join, Layout, Partitioning, RegistryTable, Selector, SliceRequest, Source};

/// The request that `message` is.
///
/// # Errors
/// `InvalidArgument` naming the field that is missing, contradicts another or is out of its range.
pub(super) fn request_from_wire(message: wire::SliceRequest) -> Result<SliceRequest> {
    let layout = layout_from_wire(message.layout)?;
    let partitioning = partitioning_from_wire(message.partitioning)?;
    let join = join_from_wire(message.join)?;
    if message.r#where.is_some() && message.filter.is_some() {
        return Err(Error::invalid("'where' and 'filter' are both given, expected one of them"));
    }
    for (name, value) in [("max_batch_bytes", message.max_batch_bytes), ("max_batch_rows", message.max_batch_rows)] {
        if value == Some(0) {
            return Err(Error::invalid(format!("'{name}' is 0, expected at least 1")));
        }
    }
    check_axes(&message)?;
    Ok(SliceRequest {
        source: source_from_wire(message.source, message.version)?,
        node: message.node,
        obs: selectors("obs", message.obs)?,
        var: selectors("var", message.var)?,
        axes: axes_from_wire(message.axes)?,
        numpy_slice: message.slice,
        columns: message.columns.map(|list| list.values),
        filter: message.r#where,
        substrait_filter: message.filter,
        limit: message.limit,
        offset: message.offset,
        partitioning,
        join,
        with_obs: message.with_obs,
        with_index: message.with_index,
        layout,
        squeeze: message.squeeze,
        max_batch_bytes: message.max_batch_bytes,
        max_batch_rows: message.max_batch_rows,
    })
}

fn source_from_wire(source: Option<wire::slice_request::Source>, version: Option<String>) -> Result<Source> {
    use wire::slice_request::Source as Wire;
    let (field, value) = match &source {
        Some(Wire::Key(value)) => ("key", value),
        Some(Wire::Uid(value)) => ("uid", value),
        Some(Wire::Collection(value)) => ("collection", value),
        Some(Wire::Url(value)) => ("url", value),
        Some(Wire::Registry(value)) => ("registry", value),
        None => {
            let expected = "'key', 'uid', 'collection', 'url', 'registry'";
            return Err(Error::invalid(format!("no source is given, expected one of {expected}")));
        }
    };
    if value.is_empty() {
        return Err(Error::invalid(format!("'{field}' is empty")));
    }
    if version.is_some() && !matches!(source, Some(Wire::Key(_))) {
        return Err(Error::invalid(format!("'version' goes with 'key', not with '{field}'")));
    }
    let value = value.clone();
    Ok(match field {
        "key" => Source::Key { key: value, version },
        "uid" => Source::Uid(value),
        "collection" => Source::Collection(value),
        "registry" => Source::Registry(RegistryTable::named(&value).ok_or_else(|| {
            let known = RegistryTable::ALL.map(RegistryTable::name).join(", ");
            Error::invalid(format!("'registry' is '{value}', expected one of {known}"))
        })?),
        _ => Source::Url(value),
    })
}

/// The axes are said in one way only.
fn check_axes(message: &wire::SliceRequest) -> Result<()> {
    let named = !message.obs.is_empty() || !message.var.is_empty();
    let given = [(named, "'obs'/'var'"), (!message.axes.is_empty(), "'axes'"), (message.slice.is_some(), "'slice'")];
    let given: Vec<_> = given.iter().filter(|(given, _)| *given).map(|(_, name)| *name).collect();
    if given.len() > 1 {
        return Err(Error::invalid(format!(
            "{} are both given, expected one way to say the axes",
            given.join(" and ")
        )));
    }
    Ok(())
}

fn axes_from_wire(axes: Vec<wire::Axis>) -> Result<Vec<Vec<Selector>>> {
    axes.into_iter().enumerate().map(|(number, axis)| selectors(&format!("axes[{number}]"), axis.selectors)).collect()
}

fn selectors(axis: &str, list: Vec<wire::Selector>) -> Result<Vec<Selector>> {
    list.into_iter()
        .enumerate()
        .map(|(number, selector)| {
            selector_from_wire(selector).map_err(|error| error.context(format!("'{axis}' selector {number}")))
        })
        .collect()
}

fn selector_from_wire(selector: wire::Selector) -> Result<Selector> {
    use wire::selector::Kind;
    match selector.kind {
        None => Err(Error::invalid(
            "selector has no kind, expected one of 'all', 'slice', 'index', 'integer', 'mask', 'names', 'where'",
        )),
        Some(Kind::All(true)) => Ok(Selector::All),
        Some(Kind::All(false)) => Err(Error::invalid("'all' is false, expected true")),
        Some(Kind::Slice(wire::Slice { step: Some(0), .. })) => Err(Error::invalid("'step' of a slice is 0")),
        Some(Kind::Slice(wire::Slice { start, stop, step })) => Ok(Selector::Slice { start, stop, step }),
        Some(Kind::Index(list)) => Ok(Selector::Index(list.values)),
        Some(Kind::Integer(position)) => Ok(Selector::Integer(position)),
        Some(Kind::Mask(mask)) => mask_from_wire(mask),
        Some(Kind::Names(list)) => Ok(Selector::Names(list.values)),
        Some(Kind::Where(text)) => Ok(Selector::Where(text)),
    }
}

fn mask_from_wire(mask: wire::Mask) -> Result<Selector> {
    if let Some(length) = mask.length {
        let needed = length.div_ceil(8);
        if needed != mask.bits.len() as u64 {
            return Err(Error::invalid(format!(
                "mask of length {length} needs {needed} bytes, found {}",
                mask.bits.len()
            )));
        }
    }
    Ok(Selector::Mask { bits: mask.bits, length: mask.length })
}

fn layout_from_wire(number: i32) -> Result<Layout> {
    match wire::Layout::try_from(number) {
        Ok(wire::Layout::Auto) => Ok(Layout::Auto),
        Ok(wire::Layout::Rows) => Ok(Layout::Rows),
        Ok(wire::Layout::Wide) => Ok(Layout::Wide),
        Ok(wire::Layout::Sparse) => Ok(Layout::Sparse),
        Ok(wire::Layout::Dense) => Ok(Layout::Dense),
        Ok(wire::Layout::Coo) => Ok(Layout::Coo),
        Err(_) => Err(Error::invalid(format!("'layout' is {number}, expected 0 to 5"))),
    }
}

fn partitioning_from_wire(number: i32) -> Result<Partitioning> {
    match wire::Partitioning::try_from(number) {
        Ok(wire::Partitioning::None) => Ok(Partitioning::None),
        Ok(wire::Partitioning::Hive) => Ok(Partitioning::Hive),
        Err(_) => Err(Error::invalid(format!("'partitioning' is {number}, expected 0 or 1"))),
    }
}

fn join_from_wire(number: i32) -> Result<Option<Join>> {
    match wire::Join::try_from(number) {
        Ok(wire::Join::Unspecified) => Ok(None),
        Ok(wire::Join::Inner) => Ok(Some(Join::Inner)),
        Ok(wire::Join::Outer) => Ok(Some(Join::Outer)),
        Err(_) => Err(Error::invalid(format!("'join' is {number}, expected 0 to 2"))),
    }
}
