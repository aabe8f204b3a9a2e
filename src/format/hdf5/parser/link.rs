//! The links of a group, of both kinds of group, without following any.

use bytes::Bytes;
use hdf5_reader::io::Cursor as CrateCursor;
use hdf5_reader::local_heap::LocalHeap;
use hdf5_reader::messages::{link_info, symbol_table_msg};
use hdf5_reader::symbol_table::SymbolTableNode;

use super::cursor::{Cursor, is_undefined, name};
use super::first_tree::group_nodes;
use super::header::{Message, kind};
use super::heap::heap_objects;
use super::view::{View, parser_error};
use crate::error::{Error, Kind, Result};

/// Links of one group at most.
const MAX_LINKS: usize = 1_000_000;
/// Symbol table entries that a node of the default size holds; more are read by a second read.
const SYMBOL_NODE_BYTES: u64 = 8 + 8 * 40;

/// Classes of links in link messages; 64 and above are user-defined, of which libhdf5 knows external ones.
const HARD: u8 = 0;
const SOFT: u8 = 1;
const EXTERNAL: u8 = 64;

/// Where a link leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// To the object at this address.
    Hard(u64),
    /// To a path, from the root or from the group.
    Soft(String),
    /// Out of the file, or of a kind that is not known; the reason why it is not followed.
    Elsewhere(String),
}

/// A named link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Link {
    pub(crate) name: String,
    pub(crate) target: Target,
}

/// All links of the group with `messages`.
pub(super) fn links(view: &View, messages: &[Message]) -> Result<Vec<Link>> {
    let mut links = Vec::new();
    for message in messages {
        match message.kind {
            kind::SYMBOL_TABLE => links.extend(symbol_table(view, &message.body)?),
            kind::LINK => add(parse_link(view, &message.body), &mut links)?,
            kind::LINK_INFO => match dense(view, &message.body) {
                Err(error) => add(Err(error), &mut links)?,
                Ok(bodies) => {
                    for body in bodies {
                        add(parse_link(view, &body), &mut links)?;
                    }
                }
            },
            _ => {}
        }
        if links.len() > MAX_LINKS {
            return Err(Error::resource_exhausted(format!("a group has more than {MAX_LINKS} links")));
        }
    }
    Ok(links)
}

/// Adds a link; one that is not understood, under a name that says so: it hides neither itself nor its neighbours.
fn add(link: Result<Link>, links: &mut Vec<Link>) -> Result<()> {
    links.push(match link {
        Err(error) if error.kind() == Kind::Unimplemented => Link {
            name: format!("(unreadable link {})", links.len() + 1),
            target: Target::Elsewhere(error.message().to_owned()),
        },
        link => link?,
    });
    Ok(())
}

/// The link in the body of a link message (format specification, section IV.A.2.g).
fn parse_link(view: &View, body: &Bytes) -> Result<Link> {
    let mut cursor = Cursor::new(body.clone());
    let version = cursor.u8()?;
    if version != 1 {
        return Err(Error::unimplemented(format!("link message version {version}")));
    }
    let flags = cursor.u8()?;
    let class = if flags & 8 == 0 { HARD } else { cursor.u8()? };
    cursor.skip(if flags & 4 == 0 { 0 } else { 8 } + usize::from(flags >> 4 & 1))?;
    let length = usize::try_from(cursor.unsigned(1 << (flags & 3))?).unwrap_or(usize::MAX);
    let name = name(&cursor.take(length)?);
    if class == HARD {
        let address = cursor.address(view.addressing.offset_size)?;
        let target = address.map_or_else(|| Target::Elsewhere("hard link to no object".into()), Target::Hard);
        return Ok(Link { name, target });
    }
    let length = usize::from(cursor.u16()?);
    let value = cursor.take(length)?;
    let target = match class {
        SOFT => Target::Soft(self::name(value.split(|byte| *byte == 0).next().unwrap_or_default())),
        EXTERNAL => external(value)?,
        _ => Target::Elsewhere(format!("user-defined link of class {class}: what it means is not known")),
    };
    Ok(Link { name, target })
}

/// A link to an object of another file: flags, the file's name and the path in it.
fn external(value: Bytes) -> Result<Target> {
    let mut cursor = Cursor::new(value);
    let flags = cursor.u8()?;
    if flags != 0 {
        return Ok(Target::Elsewhere(format!("external link of version {} with flags {}", flags >> 4, flags & 0xf)));
    }
    let (file, path) = (cursor.name()?, cursor.name()?);
    Ok(Target::Elsewhere(format!(
        "external link to '{path}' in the file '{file}': links to other files are not followed"
    )))
}

fn dense(view: &View, body: &Bytes) -> Result<Vec<Bytes>> {
    let (offset_size, length_size) = (view.addressing.offset_size, view.addressing.length_size);
    let info = link_info::parse(&mut CrateCursor::new(body), offset_size, length_size, body.len())
        .map_err(|error| parser_error(&error))?;
    if is_undefined(info.fractal_heap_address, offset_size) {
        return Ok(Vec::new());
    }
    heap_objects(view, info.fractal_heap_address, info.btree_name_index_address, MAX_LINKS)
}

fn symbol_table(view: &View, body: &Bytes) -> Result<Vec<Link>> {
    let (offset_size, length_size) = (view.addressing.offset_size, view.addressing.length_size);
    let failed = |error| parser_error(&error);
    let message =
        symbol_table_msg::parse(&mut CrateCursor::new(body), offset_size, length_size, body.len()).map_err(failed)?;
    view.prefetch([message.heap_address, message.btree_address], 0);
    let heap = LocalHeap::parse_at_storage(view, message.heap_address, offset_size, length_size).map_err(failed);
    let names = heap.and_then(|heap| {
        let length = usize::try_from(heap.data_segment_size).unwrap_or(usize::MAX);
        view.read(heap.data_segment_address, length)
    });
    // Names and nodes are looked at before either fails, so that what they miss is fetched together.
    let nodes = group_nodes(view, message.btree_address);
    let mut links = Vec::new();
    if let Ok(nodes) = &nodes {
        view.prefetch(nodes.iter().copied(), SYMBOL_NODE_BYTES);
    }
    let nodes = nodes?;
    if nodes.is_empty() {
        return Ok(Vec::new());
    }
    let names = names?;
    view.each(nodes, |address| {
        symbol_node(view, address, &names, &mut links)?;
        if links.len() > MAX_LINKS {
            return Err(Error::resource_exhausted(format!("a group has more than {MAX_LINKS} links")));
        }
        Ok(())
    })?;
    Ok(links)
}

fn symbol_node(view: &View, address: u64, names: &[u8], links: &mut Vec<Link>) -> Result<()> {
    let (offset_size, length_size) = (view.addressing.offset_size, view.addressing.length_size);
    let head = view.read(address, 8)?;
    let count = match head.as_ref() {
        [b'S', b'N', b'O', b'D', 1, _, low, high] => usize::from(u16::from_le_bytes([*low, *high])),
        _ => return Err(Error::data_loss(format!("no symbol table node at {address:#x}"))),
    };
    let bytes = view.read(address, 8 + count * (2 * usize::from(offset_size) + 24))?;
    let node = SymbolTableNode::parse(&mut CrateCursor::new(&bytes), offset_size, length_size)
        .map_err(|error| parser_error(&error))?;
    for entry in node.entries {
        let target = if entry.cache_type == 2 {
            let [a, b, c, d, ..] = entry.scratch;
            Target::Soft(name(heap_name(names, u64::from(u32::from_le_bytes([a, b, c, d])))?))
        } else {
            Target::Hard(entry.object_header_address)
        };
        links.push(Link { name: name(heap_name(names, entry.link_name_offset)?), target });
    }
    Ok(())
}

/// The name at `offset` of a local heap.
pub(super) fn heap_name(names: &[u8], offset: u64) -> Result<&[u8]> {
    let rest = usize::try_from(offset).ok().and_then(|offset| names.get(offset..));
    let name = rest.and_then(|rest| rest.iter().position(|byte| *byte == 0).and_then(|end| rest.get(..end)));
    name.ok_or_else(|| Error::data_loss(format!("no name at byte {offset} of a local heap")))
}
