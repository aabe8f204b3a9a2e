//! The messages of a dataset's header to an [`ArrayNode`].

use bytes::Bytes;
use hdf5_reader::io::Cursor as CrateCursor;
use hdf5_reader::messages::filter_pipeline;
use hdf5_reader::messages::layout::{self, ChunkIndexing, DataLayout};

use super::cursor::{Cursor, is_undefined};
use super::dataspace::{self, Extent};
use super::datatype;
use super::external;
use super::header::{Message, kind};
use super::view::{View, parser_error};
use crate::error::{Error, Result};
use crate::format::hdf5::dataset::{ChunkIndex, DatasetStorage, Layout};
use crate::format::hdf5::filter::{Filter, known_name};
use crate::format::hdf5::outside::tile;
use crate::format::hdf5::stored_type::StoredType;
use crate::model::data_type::DataType;
use crate::model::tree::{ArrayNode, Attributes, Node};

/// Layout class of virtual datasets.
const VIRTUAL: u8 = 3;
/// Layout class of chunked datasets.
const CHUNKED: u8 = 2;
/// Layout flag: chunks over the edge are not filtered.
const PLAIN_EDGES: u8 = 1;

/// The array described by `messages`.
pub(super) fn dataset(view: &View, messages: &[Message], attributes: Attributes) -> Result<Node> {
    let body = |kind: u16| messages.iter().find(|message| message.kind == kind).map(|message| &message.body);
    let needed =
        |kind: u16, name: &str| body(kind).ok_or_else(|| Error::data_loss(format!("a dataset has no {name} message")));
    let layout_body = needed(kind::LAYOUT, "layout")?;
    let is_virtual = layout_body.first().is_some_and(|version| *version >= 3) && layout_body.get(1) == Some(&VIRTUAL);
    let extent = dataspace::parse(view, needed(kind::DATASPACE, "dataspace")?)?;
    let stored = datatype::parse(needed(kind::DATATYPE, "datatype")?.clone())?;
    let (layout, chunk_shape) = match body(kind::EXTERNAL_FILES) {
        _ if is_virtual => {
            let unlimited = extent.maximum.as_ref().is_some_and(|maximum| maximum.contains(&u64::MAX));
            (Layout::Virtual { unlimited }, tile(&extent.shape, stored.size()?))
        }
        Some(body) => (Layout::External { pieces: external::pieces(view, body)? }, tile(&extent.shape, stored.size()?)),
        None => parse_layout(view, layout_body, &extent)?,
    };
    let filters = match (&layout, body(kind::FILTERS)) {
        (Layout::Chunked { .. }, Some(body)) => parse_filters(body)?,
        _ => Vec::new(),
    };
    let storage = DatasetStorage {
        layout,
        filters,
        fill: parse_fill(&stored, body(kind::FILL_VALUE), body(kind::FILL_VALUE_OLD))?,
        element_size: stored.size()?,
        convertible: stored.is_convertible(),
        note: None,
        swaps: stored.swaps().unwrap_or_default(),
        narrows: stored.narrows().unwrap_or_default(),
        number: stored.number(),
    };
    array(&extent, &stored, chunk_shape, &storage, attributes)
}

fn array(
    extent: &Extent,
    stored: &StoredType,
    chunk_shape: Vec<u64>,
    storage: &DatasetStorage,
    attributes: Attributes,
) -> Result<Node> {
    extent.count()?;
    let data_type = stored.data_type();
    let is_reference = matches!(data_type, DataType::String | DataType::List { .. } | DataType::Reference);
    let widened = storage.number.is_some() || is_reference && storage.element_size != data_type.item_size() as u64;
    let array = ArrayNode {
        shape: extent.shape.clone(),
        is_null: extent.is_null,
        data_type,
        chunk_shape,
        filters: storage.filters.iter().map(|filter| filter.name.clone()).collect(),
        partly_readable: storage.filters.is_empty() && !widened && !storage.is_elsewhere(),
        attributes,
        storage: serde_json::to_value(storage)
            .map_err(|error| Error::internal("the storage of a dataset cannot be kept").with_source(error))?,
    };
    storage.chunk_bytes(&array)?;
    Ok(Node::Array(array))
}

fn parse_layout(view: &View, body: &Bytes, extent: &Extent) -> Result<(Layout, Vec<u64>)> {
    let (offset_size, length_size) = (view.addressing.offset_size, view.addressing.length_size);
    check_chunk(body)?;
    let message = layout::parse(&mut CrateCursor::new(body), offset_size, length_size, body.len())
        .map_err(|error| parser_error(&error))?;
    let defined = |address: u64| Some(address).filter(|address| !is_undefined(*address, offset_size));
    Ok(match message.layout {
        DataLayout::Compact { data } => (Layout::Compact { data }, extent.shape.clone()),
        DataLayout::Contiguous { address, .. } => {
            (Layout::Contiguous { address: defined(address) }, extent.shape.clone())
        }
        DataLayout::Chunked { address, mut dims, chunk_indexing, .. } => {
            if dims.len() == extent.shape.len() + 1 {
                dims.pop();
            }
            if dims.len() != extent.shape.len() || dims.is_empty() || dims.contains(&0) {
                return Err(Error::data_loss(format!("chunks of {dims:?} elements in a shape of {:?}", extent.shape)));
            }
            let plain_edges =
                matches!(body.as_ref(), [version, _, flags, ..] if *version >= 4 && flags & PLAIN_EDGES != 0);
            let layout = Layout::Chunked {
                address: defined(address),
                index: chunk_index(chunk_indexing.as_ref()),
                maximum: extent.maximum.clone(),
                plain_edges,
            };
            (layout, dims.into_iter().map(u64::from).collect())
        }
    })
}

/// Refuses chunks of 2^32 elements along a dimension and more by name: the crate takes them for damage.
fn check_chunk(body: &Bytes) -> Result<()> {
    let [version, CHUNKED, _, rank, width @ 5..=8, lengths @ ..] = body.as_ref() else { return Ok(()) };
    if *version < 4 {
        return Ok(());
    }
    let mut lengths = lengths.chunks_exact(usize::from(*width)).take(usize::from(*rank));
    let large = |length: &[u8]| length.get(4..).is_some_and(|high| high.iter().any(|byte| *byte != 0));
    if lengths.any(large) {
        return Err(Error::unimplemented("chunks of 2^32 elements or more along a dimension: not supported"));
    }
    Ok(())
}

fn chunk_index(indexing: Option<&ChunkIndexing>) -> ChunkIndex {
    match indexing {
        None => ChunkIndex::BTree1,
        Some(ChunkIndexing::BTreeV2) => ChunkIndex::BTree2,
        Some(ChunkIndexing::FixedArray { .. }) => ChunkIndex::FixedArray,
        Some(ChunkIndexing::ExtensibleArray { .. }) => ChunkIndex::ExtensibleArray,
        Some(ChunkIndexing::Implicit) => ChunkIndex::Implicit,
        Some(ChunkIndexing::SingleChunk { filtered_size, filters }) => {
            ChunkIndex::Single { length: Some(*filtered_size).filter(|length| *length > 0), filter_mask: *filters }
        }
    }
}

fn parse_filters(body: &Bytes) -> Result<Vec<Filter>> {
    let message =
        filter_pipeline::parse(&mut CrateCursor::new(body), 8, 8, body.len()).map_err(|error| parser_error(&error))?;
    let filters = message.filters.into_iter().map(|filter| {
        let named = known_name(filter.id).map(str::to_owned).or(filter.name).filter(|name| !name.is_empty());
        let name = named.unwrap_or_else(|| format!("filter {}", filter.id));
        Filter { id: filter.id, name, parameters: filter.client_data }
    });
    Ok(filters.collect())
}

/// The fill value, if it is to be used and is not zero. Read here because the crate confuses the
/// times at which it is written (0 on allocation, 1 never, 2 if the user set it).
fn parse_fill(stored: &StoredType, new: Option<&Bytes>, old: Option<&Bytes>) -> Result<Option<Vec<u8>>> {
    let (mut cursor, has_value) = match (new, old) {
        (Some(body), _) => {
            let mut cursor = Cursor::new(body.clone());
            let used = fill_is_used(&mut cursor)?;
            (cursor, used)
        }
        (None, Some(body)) => (Cursor::new(body.clone()), true),
        (None, None) => return Ok(None),
    };
    let length = if has_value { cursor.u32()? as usize } else { 0 };
    let value = cursor.take(length)?;
    let size = stored.size()?;
    if !value.is_empty() && value.len() as u64 != size {
        return Err(Error::data_loss(format!("a fill value of {} bytes for elements of {size} bytes", value.len())));
    }
    Ok(value.iter().any(|byte| *byte != 0).then(|| value.to_vec()))
}

/// Whether a fill value message has a value that is written to or read from what was never written.
fn fill_is_used(cursor: &mut Cursor) -> Result<bool> {
    const NEVER: u8 = 1;
    match cursor.u8()? {
        1 | 2 => {
            cursor.skip(1)?;
            let (time, defined) = (cursor.u8()?, cursor.u8()?);
            Ok(defined != 0 && time != NEVER)
        }
        3 => {
            let flags = cursor.u8()?;
            Ok(flags & 0x30 == 0x20 && flags >> 2 & 3 != NEVER)
        }
        version => Err(Error::unimplemented(format!("fill value message version {version}"))),
    }
}
