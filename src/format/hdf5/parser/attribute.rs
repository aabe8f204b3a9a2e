//! Attributes: messages in the header or in dense storage, and their values as JSON.

use bytes::Bytes;
use hdf5_reader::io::Cursor as CrateCursor;
use hdf5_reader::messages::attribute_info;
use serde_json::{Value, json};

use super::cursor::{Cursor, is_undefined, name};
use super::dataspace::{self, Extent};
use super::datatype;
use super::header::{self, Message, kind};
use super::heap::heap_objects;
use super::value::Values;
use super::view::{View, parser_error};
use crate::error::{Error, Kind, Result, ResultExt};
use crate::model::tree::Attributes;

/// Elements of an attribute that is listed.
const MAX_ELEMENTS: u64 = 65_536;
/// Attributes of one object.
const MAX_ATTRIBUTES: usize = 65_536;

/// All attributes of the object with `messages`, in stored order.
pub(super) fn attributes(view: &View, messages: &[Message]) -> Result<Attributes> {
    let mut attributes = Attributes::new();
    view.each(messages, |message| match message.kind {
        kind::ATTRIBUTE => add(view, message.body.clone(), &mut attributes),
        kind::ATTRIBUTE_INFO => match dense(view, &message.body) {
            Err(error) if error.kind() == Kind::Unimplemented => {
                unnamed(&error, &mut attributes);
                Ok(())
            }
            bodies => view.each(bodies?, |body| add(view, body, &mut attributes)).map(drop),
        },
        _ => Ok(()),
    })?;
    Ok(attributes)
}

/// Stands for what cannot be named: the object is served all the same.
fn unnamed(error: &Error, attributes: &mut Attributes) {
    let name = format!("(unreadable attribute {})", attributes.len() + 1);
    attributes.insert(name, json!({ "unsupported": error.message() }));
}

fn dense(view: &View, body: &Bytes) -> Result<Vec<Bytes>> {
    let (offset_size, length_size) = (view.addressing.offset_size, view.addressing.length_size);
    let info = attribute_info::parse(&mut CrateCursor::new(body), offset_size, length_size, body.len())
        .map_err(|error| parser_error(&error))?;
    if is_undefined(info.fractal_heap_address, offset_size) {
        return Ok(Vec::new());
    }
    heap_objects(view, info.fractal_heap_address, info.btree_name_index_address, MAX_ATTRIBUTES)
}

struct Parts {
    name: String,
    datatype: Bytes,
    dataspace: Bytes,
    data: Cursor,
}

fn add(view: &View, body: Bytes, attributes: &mut Attributes) -> Result<()> {
    let parts = match split(view, body) {
        Err(error) if error.kind() == Kind::Unimplemented => {
            unnamed(&error, attributes);
            return Ok(());
        }
        parts => parts?,
    };
    if attributes.len() >= MAX_ATTRIBUTES {
        return Err(Error::resource_exhausted(format!("an object has more than {MAX_ATTRIBUTES} attributes")));
    }
    let name = parts.name.clone();
    let value = match value(view, parts) {
        Ok(value) => value,
        // What this program cannot show is no reason to refuse the file; damage is.
        Err(error) if error.kind() == Kind::Unimplemented => json!({ "unsupported": error.message() }),
        Err(error) => return Err(error.context(format_args!("attribute '{name}'"))),
    };
    attributes.insert(name, value);
    Ok(())
}

fn split(view: &View, body: Bytes) -> Result<Parts> {
    let mut cursor = Cursor::new(body);
    let version = cursor.u8()?;
    if !(1..=3).contains(&version) {
        return Err(Error::unimplemented(format!("attribute message version {version}")));
    }
    let flags = cursor.u8()? & if version == 1 { 0 } else { 3 };
    let sizes = [usize::from(cursor.u16()?), usize::from(cursor.u16()?), usize::from(cursor.u16()?)];
    if version == 3 {
        cursor.skip(1)?;
    }
    let mut take = |size: usize| -> Result<Bytes> {
        let part = cursor.take(size)?;
        if version == 1 {
            cursor.pad(size)?;
        }
        Ok(part)
    };
    let [name_size, datatype_size, dataspace_size] = sizes;
    let stored = take(name_size)?;
    let (mut datatype, mut dataspace) = (take(datatype_size)?, take(dataspace_size)?);
    if flags & 1 != 0 {
        datatype = header::resolve(view, kind::DATATYPE, datatype)?;
    }
    if flags & 2 != 0 {
        dataspace = header::resolve(view, kind::DATASPACE, dataspace)?;
    }
    let name = name(stored.split(|byte| *byte == 0).next().unwrap_or_default());
    Ok(Parts { name, datatype, dataspace, data: cursor })
}

fn value(view: &View, mut parts: Parts) -> Result<Value> {
    let Extent { is_null, shape, .. } = dataspace::parse(view, &parts.dataspace)?;
    let extent = Extent { is_null, shape, maximum: None };
    if extent.is_null {
        return Ok(Value::Null);
    }
    let stored = datatype::parse(parts.datatype)?;
    let count = extent.count()?;
    if count > MAX_ELEMENTS {
        return Err(Error::unimplemented(format!("{count} elements, more than the {MAX_ELEMENTS} that are listed")));
    }
    let bytes = count
        .checked_mul(stored.size()?)
        .and_then(|bytes| usize::try_from(bytes).ok())
        .ok_or_else(|| Error::data_loss("the size of its value does not fit in memory"))?;
    let data = parts.data.take(bytes).with_context(|| "its value")?;
    let mut values = Values::new(view, &stored, data)?;
    nested(&mut values, &extent.shape)
}

/// The next elements as JSON arrays of `shape`; one element for no shape.
fn nested(values: &mut Values<'_>, shape: &[u64]) -> Result<Value> {
    let Some((length, inner)) = shape.split_first() else { return values.next() };
    let items: Result<Vec<Value>> =
        if inner.contains(&0) { Ok(Vec::new()) } else { (0..*length).map(|_| nested(values, inner)).collect() };
    Ok(Value::Array(items?))
}
