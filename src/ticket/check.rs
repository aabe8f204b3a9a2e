//! Walks protobuf bytes before they are decoded: refuses fields this version does not know (a newer
//! client's request must not be answered without them), several members of a oneof, and lists over
//! their bounds. Flight SQL commands are told by their type URL and refused by name.

use prost::bytes::Buf;
use prost::encoding::{DecodeContext, WireType, decode_key, decode_varint, skip_field};

use super::limits::{MAX_LIST_ITEMS, MAX_MESSAGES};
use crate::error::{Error, Result};

/// What the walk must know of a message.
pub(super) struct MessageShape {
    name: &'static str,
    /// Largest field number; all from 1 on are known except `unused`.
    last: u32,
    unused: &'static [u32],
    /// Fields that exclude each other.
    oneof: &'static [u32],
    /// Fields that hold messages, and which.
    messages: &'static [(u32, &'static MessageShape)],
    /// Repeated integers, packed or not.
    integers: &'static [u32],
}

pub(super) static SLICE_REQUEST: MessageShape = MessageShape {
    name: "SliceRequest",
    last: 25,
    unused: &[15],
    oneof: &[1, 2, 3, 4, 25],
    messages: &[(7, &SELECTOR), (8, &SELECTOR), (9, &AXIS), (11, &STRING_LIST)],
    integers: &[],
};

pub(super) static SERVER_TICKET: MessageShape = MessageShape {
    name: "ServerTicket",
    last: 5,
    unused: &[],
    oneof: &[],
    messages: &[(1, &SLICE_REQUEST), (5, &PINNED_SOURCE)],
    integers: &[],
};

static AXIS: MessageShape = MessageShape { messages: &[(1, &SELECTOR)], ..plain("Axis", 1) };
static SELECTOR: MessageShape = MessageShape {
    oneof: &[1, 2, 3, 4, 5, 6, 7],
    messages: &[(2, &SLICE), (3, &INDEX_LIST), (4, &MASK), (5, &STRING_LIST)],
    ..plain("Selector", 7)
};
static SLICE: MessageShape = plain("Slice", 3);
static INDEX_LIST: MessageShape = MessageShape { integers: &[1], ..plain("IndexList", 1) };
static STRING_LIST: MessageShape = plain("StringList", 1);
static MASK: MessageShape = plain("Mask", 2);
static PINNED_SOURCE: MessageShape = plain("PinnedSource", 2);

const fn plain(name: &'static str, last: u32) -> MessageShape {
    MessageShape { name, last, unused: &[], oneof: &[], messages: &[], integers: &[] }
}

/// Walks the bytes of one message of the given shape.
///
/// # Errors
/// `InvalidArgument` for malformed bytes, unknown fields and several members of a oneof,
/// `ResourceExhausted` for lists over their bounds, `Unimplemented` for a Flight SQL command.
pub(super) fn check_message(shape: &'static MessageShape, bytes: &[u8]) -> Result<()> {
    refuse_any(bytes)?;
    Walk::default().message(shape, bytes)
}

/// Refuses a `google.protobuf.Any`, whose type URL would otherwise be read as a key.
fn refuse_any(bytes: &[u8]) -> Result<()> {
    const TYPE_URL: &[u8] = b"type.googleapis.com/";
    let mut rest = bytes;
    let Ok((1, WireType::LengthDelimited)) = decode_key(&mut rest) else { return Ok(()) };
    let Ok(length) = decode_varint(&mut rest) else { return Ok(()) };
    let length = usize::try_from(length).unwrap_or(usize::MAX).min(rest.len());
    let (url, _) = rest.split_at(length);
    if !url.starts_with(TYPE_URL) {
        return Ok(());
    }
    let shown: String = String::from_utf8_lossy(url).chars().take(200).collect();
    Err(Error::unimplemented(format!("command '{shown}' is not supported; expected a sliceflight.v1.SliceRequest")))
}

#[derive(Default)]
struct Walk {
    messages: usize,
    items: usize,
}

impl Walk {
    fn message(&mut self, shape: &'static MessageShape, bytes: &[u8]) -> Result<()> {
        self.messages += 1;
        if self.messages > MAX_MESSAGES {
            return Err(Error::resource_exhausted(format!("request has more than {MAX_MESSAGES} selectors and axes")));
        }
        let malformed = |error| Error::invalid(format!("malformed protobuf in {}: {error}", shape.name));
        let mut chosen = None;
        let mut rest = bytes;
        while rest.has_remaining() {
            let (tag, wire_type) = decode_key(&mut rest).map_err(malformed)?;
            if tag > shape.last || shape.unused.contains(&tag) {
                return Err(Error::invalid(format!("{} has no field number {tag} in this version", shape.name)));
            }
            if shape.oneof.contains(&tag) && chosen.replace(tag).is_some_and(|before| before != tag) {
                return Err(Error::invalid(format!("{} has several of a oneof, expected one", shape.name)));
            }
            if wire_type == WireType::LengthDelimited {
                let length = decode_varint(&mut rest).map_err(malformed)?;
                let inner = usize::try_from(length).ok().and_then(|length| rest.split_at_checked(length));
                let Some((inner, after)) = inner else {
                    return Err(Error::invalid(format!(
                        "malformed protobuf in {}: field {tag} is cut off",
                        shape.name
                    )));
                };
                rest = after;
                self.field(shape, tag, inner)?;
            } else {
                self.count(1)?;
                skip_field(wire_type, tag, &mut rest, DecodeContext::default()).map_err(malformed)?;
            }
        }
        Ok(())
    }

    fn field(&mut self, shape: &'static MessageShape, tag: u32, bytes: &[u8]) -> Result<()> {
        if let Some((_, inner)) = shape.messages.iter().find(|(number, _)| *number == tag) {
            return self.message(inner, bytes);
        }
        if shape.integers.contains(&tag) {
            // A packed varint ends at its first byte below 128.
            return self.count(bytes.iter().filter(|byte| **byte < 0x80).count());
        }
        self.count(1)
    }

    fn count(&mut self, items: usize) -> Result<()> {
        self.items += items;
        if self.items > MAX_LIST_ITEMS {
            return Err(Error::resource_exhausted(format!(
                "request has more than {MAX_LIST_ITEMS} names and positions"
            )));
        }
        Ok(())
    }
}
