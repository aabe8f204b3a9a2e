//! The fields of a JSON request.

use serde_json::Value;

use super::reader::{Item, Object};
use super::selector::{axis_from_json, selectors_from_json};
use crate::error::{Error, Result};
use crate::ticket::wire;

const LAYOUTS: [&str; 6] = ["auto", "rows", "wide", "sparse", "dense", "coo"];
const PARTITIONINGS: [&str; 2] = ["none", "hive"];
const JOINS: [&str; 3] = ["unspecified", "inner", "outer"];

pub(super) fn request_from_json(value: Value) -> Result<wire::SliceRequest> {
    let mut object = Item { path: String::new(), value }.object()?;
    let source = source(&mut object)?;
    let request = wire::SliceRequest {
        source,
        version: text(&mut object, "version")?,
        node: text(&mut object, "node")?.unwrap_or_default(),
        obs: object.take("obs")?.map(selectors_from_json).transpose()?.unwrap_or_default(),
        var: object.take("var")?.map(selectors_from_json).transpose()?.unwrap_or_default(),
        axes: axes(object.take("axes")?)?,
        slice: text(&mut object, "slice")?,
        columns: object.take("columns")?.map(Item::texts).transpose()?.map(|values| wire::StringList { values }),
        r#where: text(&mut object, "where")?,
        filter: object.take("filter")?.map(Item::bytes).transpose()?,
        limit: object.take("limit")?.map(Item::unsigned).transpose()?,
        offset: object.take("offset")?.map(Item::unsigned).transpose()?,
        partitioning: name(object.take("partitioning")?, "PARTITIONING_", &PARTITIONINGS)?,
        with_obs: object.take("with_obs")?.map(Item::texts).transpose()?.unwrap_or_default(),
        with_index: flag(&mut object, "with_index")?,
        layout: name(object.take("layout")?, "LAYOUT_", &LAYOUTS)?,
        squeeze: flag(&mut object, "squeeze")?,
        max_batch_bytes: object.take("max_batch_bytes")?.map(Item::unsigned).transpose()?,
        max_batch_rows: object.take("max_batch_rows")?.map(Item::unsigned).transpose()?,
        join: name(object.take("join")?, "JOIN_", &JOINS)?,
    };
    object.finish()?;
    Ok(request)
}

fn source(object: &mut Object) -> Result<Option<wire::slice_request::Source>> {
    use wire::slice_request::Source;
    let given = [
        text(object, "key")?.map(Source::Key),
        text(object, "uid")?.map(Source::Uid),
        text(object, "collection")?.map(Source::Collection),
        text(object, "url")?.map(Source::Url),
        text(object, "registry")?.map(Source::Registry),
    ];
    let mut given = given.into_iter().flatten();
    let source = given.next();
    if given.next().is_some() {
        let expected = "'key', 'uid', 'collection', 'url', 'registry'";
        return Err(Error::invalid(format!("several sources are given, expected one of {expected}")));
    }
    Ok(source)
}

fn axes(item: Option<Item>) -> Result<Vec<wire::Axis>> {
    item.map(Item::list).transpose()?.unwrap_or_default().into_iter().map(axis_from_json).collect()
}

fn text(object: &mut Object, field: &'static str) -> Result<Option<String>> {
    object.take(field)?.map(Item::text).transpose()
}

fn flag(object: &mut Object, field: &'static str) -> Result<bool> {
    Ok(object.take(field)?.map(Item::boolean).transpose()?.unwrap_or_default())
}

/// An enum value by its short lower-case name, its full name or its number.
fn name(item: Option<Item>, prefix: &str, names: &[&str]) -> Result<i32> {
    let Some(item) = item else { return Ok(0) };
    let found = match &item.value {
        Value::String(text) => names.iter().position(|name| {
            text == name || text.strip_prefix(prefix).is_some_and(|rest| rest == name.to_ascii_uppercase())
        }),
        Value::Number(number) => number.as_u64().and_then(|number| {
            let number = usize::try_from(number).ok()?;
            (number < names.len()).then_some(number)
        }),
        _ => None,
    };
    found
        .and_then(|position| i32::try_from(position).ok())
        .ok_or_else(|| item.wrong(&format!("one of {}", names.join(", "))))
}
