//! Selectors in JSON: an object with exactly one kind, or a list of them.

use serde_json::Value;

use super::reader::{Item, Object};
use crate::error::{Error, Result};
use crate::ticket::wire;
use crate::ticket::wire::selector::Kind;

const KINDS: &str = "'all', 'slice', 'index', 'mask', 'names', 'where', 'integer'";

/// The selectors of one axis: one object, or a list of objects.
pub(super) fn selectors_from_json(item: Item) -> Result<Vec<wire::Selector>> {
    match item.value {
        Value::Array(_) => item.list()?.into_iter().map(selector_from_json).collect(),
        Value::Object(_) => Ok(vec![selector_from_json(item)?]),
        _ => Err(item.wrong("a selector object or a list of them")),
    }
}

/// One element of `axes`: `{"selectors": […]}`, a selector object, or a list of them.
pub(super) fn axis_from_json(item: Item) -> Result<wire::Axis> {
    let is_message = match &item.value {
        Value::Object(fields) => fields.is_empty() || fields.contains_key("selectors"),
        _ => false,
    };
    if !is_message {
        return Ok(wire::Axis { selectors: selectors_from_json(item)? });
    }
    let mut object = item.object()?;
    let selectors = object.take("selectors")?.map(selectors_from_json).transpose()?.unwrap_or_default();
    object.finish()?;
    Ok(wire::Axis { selectors })
}

fn selector_from_json(item: Item) -> Result<wire::Selector> {
    let path = item.path.clone();
    let mut object = item.object()?;
    let given = [
        object.take("all")?.map(Item::boolean).transpose()?.map(Kind::All),
        object.take("slice")?.map(slice).transpose()?,
        object.take("index")?.map(index).transpose()?,
        object.take("mask")?.map(mask).transpose()?,
        object.take("names")?.map(Item::texts).transpose()?.map(|values| Kind::Names(wire::StringList { values })),
        object.take("where")?.map(Item::text).transpose()?.map(Kind::Where),
        object.take("integer")?.map(Item::signed).transpose()?.map(Kind::Integer),
    ];
    object.finish()?;
    let mut given = given.into_iter().flatten();
    match (given.next(), given.next()) {
        (Some(kind), None) => Ok(wire::Selector { kind: Some(kind) }),
        (None, _) => Err(Error::invalid(format!("'{path}' is a selector without a kind, expected one of {KINDS}"))),
        (Some(_), Some(_)) => Err(Error::invalid(format!(
            "'{path}' is a selector of several kinds, expected one of {KINDS}; compose them as a list"
        ))),
    }
}

fn slice(item: Item) -> Result<Kind> {
    let mut object: Object = item.object()?;
    let mut bound = |name| object.take(name)?.map(Item::signed).transpose();
    let slice = wire::Slice { start: bound("start")?, stop: bound("stop")?, step: bound("step")? };
    object.finish()?;
    Ok(Kind::Slice(slice))
}

fn index(item: Item) -> Result<Kind> {
    let values = item.list()?.into_iter().map(Item::signed).collect::<Result<_>>()?;
    Ok(Kind::Index(wire::IndexList { values }))
}

/// `{"bits": base64, "length": n}`, or a list of booleans.
fn mask(item: Item) -> Result<Kind> {
    if let Value::Object(_) = item.value {
        let mut object = item.object()?;
        let bits = object.take("bits")?.map(Item::bytes).transpose()?.unwrap_or_default();
        let length = object.take("length")?.map(Item::unsigned).transpose()?;
        object.finish()?;
        return Ok(Kind::Mask(wire::Mask { bits, length }));
    }
    let Value::Array(values) = &item.value else {
        return Err(item.wrong("a list of booleans or an object with 'bits' and 'length'"));
    };
    let length = values.len() as u64;
    let mut bits = vec![0_u8; values.len().div_ceil(8)];
    for (position, element) in item.list()?.into_iter().enumerate() {
        if element.boolean()?
            && let Some(byte) = bits.get_mut(position / 8)
        {
            *byte |= 1 << (position % 8);
        }
    }
    Ok(Kind::Mask(wire::Mask { bits, length: Some(length) }))
}
