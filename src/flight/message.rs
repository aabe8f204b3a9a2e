//! A Flight message on its way out: the header of an Arrow IPC message, and its body in pieces.
//!
//! Sits between the encoder and [`super::direct`]. Written here are the first bytes of a message: the prefix
//! of gRPC and the head of the protobuf message `FlightData`. The pieces follow as they lie in memory. Nothing
//! is compressed.
//!
//! ```text
//! 0 length | 2 header | 1000 length │ piece │ piece │ padding, short pieces │ piece …
//! └────────── one frame ──────────┘   └─ frames of their own, not copied ─┘
//! ```

use std::fmt;

use arrow::buffer::Buffer;
use arrow::ipc::writer::EncodedData;
use bytes::{BufMut, BytesMut};
use prost::encoding::{WireType, encode_key, encode_varint, encoded_len_varint, key_len};

use super::frames::Frames;
use crate::error::{Error, Result};

/// Fields of the protobuf message `FlightData`.
const DATA_HEADER: u32 = 2;
const DATA_BODY: u32 = 1000;

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

    /// Writes the message, with what gRPC puts before it, into `frames`.
    ///
    /// # Errors
    /// `ResourceExhausted` for a message of 2 GiB or more; then nothing is written.
    pub(super) fn write(self, frames: &mut Frames) -> Result<()> {
        let body: usize = self.body.iter().map(Buffer::len).sum();
        let length = field_length(DATA_HEADER, self.header.len()) + field_length(DATA_BODY, body);
        if length > LARGEST_MESSAGE {
            return Err(Error::resource_exhausted(format!(
                "a message has {length} bytes, the limit is {LARGEST_MESSAGE}"
            )));
        }
        let head = frames.short();
        head.put_u8(0);
        head.put_u32(length as u32);
        put_key(head, DATA_HEADER, self.header.len());
        head.put_slice(&self.header);
        put_key(head, DATA_BODY, body);
        self.body.into_iter().for_each(|piece| frames.buffer(piece));
        Ok(())
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

/// Bytes of a field of `length` bytes; an empty one is left out.
fn field_length(tag: u32, length: usize) -> usize {
    if length == 0 { 0 } else { key_len(tag) + encoded_len_varint(length as u64) + length }
}

/// Writes what comes before the bytes of a field.
fn put_key(out: &mut BytesMut, tag: u32, length: usize) {
    if length > 0 {
        encode_key(tag, WireType::LengthDelimited, out);
        encode_varint(length as u64, out);
    }
}
