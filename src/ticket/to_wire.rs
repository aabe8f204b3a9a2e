//! The model's request as the wire message.

use prost::Message;

use super::wire;
use crate::model::request::{Join, Layout, Partitioning, Selector, SliceRequest, Source};

/// The protobuf bytes of a request; [`super::decode_command`] reads them back to the same request.
pub fn encode_request(request: &SliceRequest) -> Vec<u8> {
    request_to_wire(request).encode_to_vec()
}

pub(super) fn request_to_wire(request: &SliceRequest) -> wire::SliceRequest {
    use wire::slice_request::Source as Wire;
    let (source, version) = match &request.source {
        Source::Key { key, version } => (Wire::Key(key.clone()), version.clone()),
        Source::Uid(uid) => (Wire::Uid(uid.clone()), None),
        Source::Collection(name) => (Wire::Collection(name.clone()), None),
        Source::Url(url) => (Wire::Url(url.clone()), None),
        Source::Registry(table) => (Wire::Registry(table.name().to_owned()), None),
    };
    wire::SliceRequest {
        source: Some(source),
        version,
        node: request.node.clone(),
        obs: request.obs.iter().map(selector_to_wire).collect(),
        var: request.var.iter().map(selector_to_wire).collect(),
        axes: request
            .axes
            .iter()
            .map(|axis| wire::Axis { selectors: axis.iter().map(selector_to_wire).collect() })
            .collect(),
        slice: request.numpy_slice.clone(),
        columns: request.columns.clone().map(|values| wire::StringList { values }),
        r#where: request.filter.clone(),
        filter: request.substrait_filter.clone(),
        limit: request.limit,
        offset: request.offset,
        partitioning: match request.partitioning {
            Partitioning::None => wire::Partitioning::None,
            Partitioning::Hive => wire::Partitioning::Hive,
        }
        .into(),
        with_obs: request.with_obs.clone(),
        with_index: request.with_index,
        layout: layout_to_wire(request.layout).into(),
        squeeze: request.squeeze,
        max_batch_bytes: request.max_batch_bytes,
        max_batch_rows: request.max_batch_rows,
        join: match request.join {
            None => wire::Join::Unspecified,
            Some(Join::Inner) => wire::Join::Inner,
            Some(Join::Outer) => wire::Join::Outer,
        }
        .into(),
    }
}

fn layout_to_wire(layout: Layout) -> wire::Layout {
    match layout {
        Layout::Auto => wire::Layout::Auto,
        Layout::Rows => wire::Layout::Rows,
        Layout::Wide => wire::Layout::Wide,
        Layout::Sparse => wire::Layout::Sparse,
        Layout::Dense => wire::Layout::Dense,
        Layout::Coo => wire::Layout::Coo,
    }
}

fn selector_to_wire(selector: &Selector) -> wire::Selector {
    use wire::selector::Kind;
    let kind = match selector {
        Selector::All => Kind::All(true),
        Selector::Slice { start, stop, step } => Kind::Slice(wire::Slice { start: *start, stop: *stop, step: *step }),
        Selector::Index(values) => Kind::Index(wire::IndexList { values: values.clone() }),
        Selector::Integer(position) => Kind::Integer(*position),
        Selector::Mask { bits, length } => Kind::Mask(wire::Mask { bits: bits.clone(), length: *length }),
        Selector::Names(values) => Kind::Names(wire::StringList { values: values.clone() }),
        Selector::Where(text) => Kind::Where(text.clone()),
    };
    wire::Selector { kind: Some(kind) }
}
