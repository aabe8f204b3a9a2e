//! What goes to a connection as one piece: long buffers by themselves, short ones together.
//!
//! Sits between [`super::message`], which writes messages into it, and [`super::direct`], which takes frames
//! out. It knows nothing of what the bytes mean.

use std::collections::VecDeque;

use arrow::buffer::Buffer;
use bytes::{BufMut, Bytes, BytesMut};

/// Buffers of fewer bytes are copied, together with their neighbours: a frame of their own costs more.
pub(super) const COPIED_BYTES: usize = 16 << 10;

/// A frame of copied bytes ends when it has at least this many.
pub(super) const JOINED_BYTES: usize = 64 << 10;

/// Frames in order, the last one perhaps not yet ended.
#[derive(Debug, Default)]
pub(super) struct Frames {
    ended: VecDeque<Bytes>,
    joined: BytesMut,
}

impl Frames {
    /// Room for bytes that are written now; [`Frames::buffer`] may end the frame that they are in.
    pub(super) fn short(&mut self) -> &mut BytesMut {
        &mut self.joined
    }

    /// Adds the bytes of `buffer`: a long one is not copied, and stays in memory until its frame is dropped.
    pub(super) fn buffer(&mut self, buffer: Buffer) {
        if buffer.len() < COPIED_BYTES {
            self.joined.put_slice(&buffer);
            if self.joined.len() >= JOINED_BYTES {
                self.end_joined();
            }
            return;
        }
        self.end_joined();
        self.ended.push_back(Bytes::from_owner(Held(buffer)));
    }

    /// The next frame that has ended.
    pub(super) fn next(&mut self) -> Option<Bytes> {
        if self.joined.len() >= JOINED_BYTES {
            self.end_joined();
        }
        self.ended.pop_front()
    }

    /// The next frame, where no more bytes can be waited for.
    pub(super) fn next_at_once(&mut self) -> Option<Bytes> {
        if self.ended.is_empty() {
            self.end_joined();
        }
        self.ended.pop_front()
    }

    fn end_joined(&mut self) {
        if !self.joined.is_empty() {
            self.ended.push_back(std::mem::take(&mut self.joined).freeze());
        }
    }
}

/// Arrow's memory, held until the connection has taken it.
struct Held(Buffer);

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        self.0.as_slice()
    }
}
