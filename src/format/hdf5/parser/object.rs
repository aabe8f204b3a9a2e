//! One object of a file: what it is, and which links lead on.

use super::attribute;
use super::dataset;
use super::header::{self, Header, Message, kind};
use super::link::{self, Link};
use super::view::View;
use crate::error::{Error, Kind, Result, ResultExt};
use crate::model::tree::{Attributes, Node};

/// A parsed object.
#[derive(Clone, Debug)]
pub(crate) struct Object {
    /// What it is.
    pub(crate) node: Node,
    /// Its links, of a group.
    pub(crate) links: Vec<Link>,
    /// The attributes of what is refused by name and may be a dataset that libhdf5 reads.
    pub(crate) refused: Option<Attributes>,
}

/// The object at `address`. What is not supported becomes an unreadable node with the reason.
pub(super) fn object(view: &View, address: u64) -> Result<Object> {
    match parse(view, address) {
        Ok(object) => Ok(object),
        Err(error) if error.kind() == Kind::Unimplemented => Ok(refused(&error, Attributes::new())),
        Err(error) => Err(error).with_context(|| format!("object at {address:#x}")),
    }
}

fn unreadable(reason: &str) -> Object {
    Object { node: Node::Unreadable { reason: reason.to_owned() }, links: Vec::new(), refused: None }
}

fn refused(error: &Error, attributes: Attributes) -> Object {
    Object { refused: Some(attributes), ..unreadable(error.message()) }
}

fn parse(view: &View, address: u64) -> Result<Object> {
    let Header { messages, whole } = header::read(view, address)?;
    if let Err(error) = whole {
        if error.kind() == Kind::Unavailable {
            // What the messages lead to that are here is missed now, and fetched together with the others.
            drop((link::links(view, &messages), attributes(view, &messages)));
        }
        return Err(error);
    }
    let has = |wanted: u16| messages.iter().any(|message| message.kind == wanted);
    if [kind::SYMBOL_TABLE, kind::LINK_INFO, kind::LINK, kind::GROUP_INFO].into_iter().any(has) {
        // Both are looked at before either fails, so that what they miss is fetched together.
        let (links, attributes) = (link::links(view, &messages), attributes(view, &messages));
        return Ok(Object { node: Node::Group { attributes: attributes? }, links: links?, refused: None });
    }
    if has(kind::LAYOUT) || has(kind::DATASPACE) {
        let attributes = attributes(view, &messages)?;
        return match dataset::dataset(view, &messages, attributes.clone()) {
            Err(error) if error.kind() == Kind::Unimplemented => Ok(refused(&error, attributes)),
            node => Ok(Object { node: node?, links: Vec::new(), refused: None }),
        };
    }
    if has(kind::DATATYPE) {
        return Ok(unreadable("named datatype: not supported"));
    }
    Err(Error::unimplemented("object that is no group, dataset or named datatype"))
}

fn attributes(view: &View, messages: &[Message]) -> Result<Attributes> {
    attribute::attributes(view, messages)
}
