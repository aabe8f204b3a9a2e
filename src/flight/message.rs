//! A Flight message on its way out: the header of an Arrow IPC message, and its body in pieces.
//!
//! Sits between the encoder and [`super::direct`]. A message becomes frames: its first bytes (the prefix of
//! gRPC and the head of the protobuf message `FlightData`) are written here, and long pieces of the body
//! follow as they lie in memory. Nothing is compressed.
//!
//! ```text
//! 0 length | 2 header | 1000 length │ piece │ piece │ padding, short pieces │ piece …
//! └────────── one frame ──────────┘   └─ frames of their own, not copied ─┘
//! ```

use std::collections::VecDeque;
use std::fmt;

use arrow::buffer::Buffer;
use arrow::ipc::writer::EncodedData;
use bytes::{BufMut, Bytes, BytesMut};
use prost::encoding::{WireType, encode_key, encode_varint, encoded_len_varint, key_len};

use crate::error::{Error, Result};

/// Fields of the protobuf message `FlightData`.
const DATA_HEADER: u32 = 2;
const DATA_BODY: u32 = 1000;

/// The prefix of a gRPC message: whether it is compressed, and its length.
const PREFIX: usize = 5;

/// Pieces of fewer bytes are copied, together with their neighbours: a frame of their own costs more.
const COPIED_BYTES: usize = 16 << 10;

/// A frame of copied pieces ends when it has this many bytes.
const JOINED_BYTES: usize = 64 << 10;

/// Largest message: protobuf ends there.
const LARGEST_MESSAGE: usize = (2 << 30) - 1;

/// One message of an answer.
#[derive(Clone)]
pub(super) struct Message {
    header: Buffer,
    body: Vec<Buffer>,
}

impl Message {
    /// A message with the flatbuffer `header`, whose body is the pieces of `body` one after the other.
    pub(super) fn new(header: Buffer, body: Vec<Buffer>) -> Self {
        Self { header, body }
    }

    /// The frames that carry the message, in order.
    ///
    /// # Errors
    /// `ResourceExhausted` for a message of 2 GiB or more.
    pub(super) fn frames(self) -> Result<VecDeque<Bytes>> {
        let body: usize = self.body.iter().map(Buffer::len).sum();
        let length = field_length(DATA_HEADER, self.header.len()) + field_length(DATA_BODY, body);
        if length > LARGEST_MESSAGE {
            return Err(Error::resource_exhausted(format!(
                "a message has {length} bytes, the limit is {LARGEST_MESSAGE}"
            )));
        }
        let mut frames = Frames::with_capacity(PREFIX + length - body);
        frames.joined.put_u8(0);
        frames.joined.put_u32(length as u32);
        put_head(&mut frames.joined, DATA_HEADER, self.header.len());
        frames.joined.put_slice(&self.header);
        put_head(&mut frames.joined, DATA_BODY, body);
        self.body.into_iter().for_each(|piece| frames.push(piece));
        Ok(frames.finish())
    }
}

impl From<EncodedData> for Message {
    fn from(encoded: EncodedData) -> Self {
        Self::new(Buffer::from_vec(encoded.ipc_message), vec![Buffer::from_vec(encoded.arrow_data)])
    }
}

impl fmt::Debug for Message {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let body = self.body.iter().map(Buffer::len).collect::<Vec<_>>();
        formatter.debug_struct("Message").field("header", &self.header.len()).field("body", &body).finish()
    }
}

/// Bytes of a field of bytes; an empty one is left out.
fn field_length(tag: u32, length: usize) -> usize {
    if length == 0 { 0 } else { key_len(tag) + encoded_len_varint(length as u64) + length }
}

/// Writes what comes before the bytes of a field.
fn put_head(out: &mut BytesMut, tag: u32, length: usize) {
    if length > 0 {
        encode_key(tag, WireType::LengthDelimited, out);
        encode_varint(length as u64, out);
    }
}

/// Frames being made.
struct Frames {
    done: VecDeque<Bytes>,
    joined: BytesMut,
}

impl Frames {
    fn with_capacity(head: usize) -> Self {
        Self { done: VecDeque::new(), joined: BytesMut::with_capacity(head) }
    }

    fn push(&mut self, piece: Buffer) {
        if piece.len() < COPIED_BYTES {
            self.joined.put_slice(&piece);
            if self.joined.len() >= JOINED_BYTES {
                self.end_joined();
            }
            return;
        }
        self.end_joined();
        self.done.push_back(Bytes::from_owner(Held(piece)));
    }

    fn end_joined(&mut self) {
        if !self.joined.is_empty() {
            self.done.push_back(std::mem::take(&mut self.joined).freeze());
        }
    }

    fn finish(mut self) -> VecDeque<Bytes> {
        self.end_joined();
        self.done
    }
}

/// Arrow's memory, held until the connection has taken it.
struct Held(Buffer);

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        self.0.as_slice()
    }
}
