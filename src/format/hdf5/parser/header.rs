//! Object headers as a list of raw messages. Messages stay bytes, so that one that cannot be
//! understood spoils neither its neighbours nor the listing.

use std::collections::HashSet;

use bytes::Bytes;

use super::cursor::Cursor;
use super::shared;
use super::view::{View, metadata_checksum};
use crate::error::{Error, Kind, Result};

/// Bytes of one object's header at most, all its parts together.
const MAX_HEADER_BYTES: usize = 16 * 1024 * 1024;
/// Bytes read to learn how long a header is.
const PREFIX_BYTES: u64 = 48;

/// Message kinds of the HDF5 format specification, section IV.A.2.
pub(super) mod kind {
    pub(in super::super) const NIL: u16 = 0x00;
    pub(in super::super) const DATASPACE: u16 = 0x01;
    pub(in super::super) const LINK_INFO: u16 = 0x02;
    pub(in super::super) const DATATYPE: u16 = 0x03;
    pub(in super::super) const FILL_VALUE_OLD: u16 = 0x04;
    pub(in super::super) const FILL_VALUE: u16 = 0x05;
    pub(in super::super) const LINK: u16 = 0x06;
    pub(in super::super) const EXTERNAL_FILES: u16 = 0x07;
    pub(in super::super) const LAYOUT: u16 = 0x08;
    pub(in super::super) const GROUP_INFO: u16 = 0x0a;
    pub(in super::super) const FILTERS: u16 = 0x0b;
    pub(in super::super) const ATTRIBUTE: u16 = 0x0c;
    pub(in super::super) const SHARED_TABLE: u16 = 0x0f;
    pub(in super::super) const CONTINUATION: u16 = 0x10;
    pub(in super::super) const SYMBOL_TABLE: u16 = 0x11;
    pub(in super::super) const ATTRIBUTE_INFO: u16 = 0x15;
}

/// One message: its kind and the bytes of its body.
#[derive(Clone, Debug)]
pub(super) struct Message {
    pub(super) kind: u16,
    pub(super) shared: bool,
    pub(super) body: Bytes,
}

/// The messages of an object as far as its header is here.
#[derive(Debug)]
pub(super) struct Header {
    /// In stored order; without those that a missing part holds, or that are shared from there.
    pub(super) messages: Vec<Message>,
    /// Whether these are all.
    pub(super) whole: Result<()>,
}

/// The messages of the object at `address`, shared ones replaced by what they stand for.
pub(super) fn read(view: &View, address: u64) -> Result<Header> {
    let mut header = parts(view, address)?;
    let mut messages = Vec::with_capacity(header.messages.len());
    let resolved = view.each(header.messages, |mut message| {
        if message.shared {
            message.body = resolve(view, message.kind, message.body)?;
        }
        messages.push(message);
        Ok(())
    });
    header.whole = header.whole.and(resolved.map(drop));
    Ok(Header { messages, ..header })
}

/// The body that the shared message body `reference` stands for.
pub(super) fn resolve(view: &View, kind: u16, reference: Bytes) -> Result<Bytes> {
    let mut cursor = Cursor::new(reference);
    let version = cursor.u8()?;
    let place = cursor.u8()?;
    match (version, place) {
        (1, _) => cursor.skip(6)?,
        (2, _) | (3, 2) => {}
        (3, 1) => return shared::body(view, kind, &cursor.take(shared::IDENTIFIER_BYTES)?),
        _ => return Err(Error::data_loss(format!("shared message of version {version} and place {place}"))),
    }
    let address = cursor.address(view.addressing.offset_size)?;
    let address = address.ok_or_else(|| Error::data_loss("a shared message leads nowhere"))?;
    let target = unresolved(view, address)?.into_iter().find(|message| message.kind == kind && !message.shared);
    let target = target.ok_or_else(|| {
        Error::data_loss(format!("the object at {address:#x} has no message of kind {kind:#x} to be shared"))
    })?;
    Ok(target.body)
}

/// All messages of the object at `address` as stored.
pub(super) fn unresolved(view: &View, address: u64) -> Result<Vec<Message>> {
    let Header { messages, whole } = parts(view, address)?;
    whole.map(|()| messages)
}

/// The messages of the object at `address` as stored, of all parts of its header that are here.
fn parts(view: &View, address: u64) -> Result<Header> {
    let length = view.end().saturating_sub(address).min(PREFIX_BYTES) as usize;
    let prefix = view.read(address, length)?;
    let mut walk = Walk { view, parts: Vec::new(), seen: HashSet::new(), bytes: 0, messages: Vec::new() };
    let whole = if prefix.starts_with(b"OHDR") {
        walk.second_version(address, prefix)
    } else {
        walk.first_version(address, prefix)
    };
    Ok(Header { messages: walk.messages, whole })
}

struct Walk<'a> {
    view: &'a View,
    parts: Vec<(u64, u64)>,
    seen: HashSet<u64>,
    bytes: usize,
    messages: Vec<Message>,
}

impl Walk<'_> {
    fn first_version(&mut self, address: u64, prefix: Bytes) -> Result<()> {
        let mut cursor = Cursor::new(prefix);
        let version = cursor.u8()?;
        if version != 1 {
            return Err(Error::data_loss(format!("no object header at {address:#x}: version {version}, expected 1")));
        }
        cursor.skip(7)?;
        let size = u64::from(cursor.u32()?);
        self.parts.push((address.saturating_add(16), size));
        let mut missing = Ok(());
        while let Some((_, part)) = self.next_part(&mut missing)? {
            let mut cursor = Cursor::new(part);
            while cursor.remaining() >= 8 {
                let kind = cursor.u16()?;
                let length = usize::from(cursor.u16()?);
                let flags = cursor.u8()?;
                cursor.skip(3)?;
                let body = cursor.take(length)?;
                self.add(kind, flags, body)?;
            }
        }
        missing
    }

    fn second_version(&mut self, address: u64, prefix: Bytes) -> Result<()> {
        let mut cursor = Cursor::new(prefix);
        cursor.skip(4)?;
        let version = cursor.u8()?;
        if version != 2 {
            return Err(Error::unimplemented(format!("object header version {version} at {address:#x}")));
        }
        let flags = cursor.u8()?;
        cursor.skip(if flags & 0x20 == 0 { 0 } else { 16 } + if flags & 0x10 == 0 { 0 } else { 4 })?;
        let size = cursor.unsigned(1 << (flags & 3))?;
        let start = cursor.position();
        let whole = size.checked_add(start as u64 + 4).ok_or_else(|| too_long(address))?;
        let part = self.part(address, whole)?;
        self.checked_part(address, part, start, flags & 4 != 0)?;
        let mut missing = Ok(());
        while let Some((next, part)) = self.next_part(&mut missing)? {
            if !part.starts_with(b"OCHK") {
                return Err(Error::data_loss(format!("no continued object header at {next:#x}")));
            }
            self.checked_part(address, part, 4, flags & 4 != 0)?;
        }
        missing
    }

    /// The next part that is here, and its address; what is not here is noted in `missing`.
    fn next_part(&mut self, missing: &mut Result<()>) -> Result<Option<(u64, Bytes)>> {
        while let Some((address, size)) = self.parts.pop() {
            match self.part(address, size) {
                Err(error) if is_missing(&error) => *missing = Err(error),
                part => return part.map(|part| Some((address, part))),
            }
        }
        Ok(None)
    }

    fn checked_part(&mut self, address: u64, part: Bytes, lead: usize, ordered: bool) -> Result<()> {
        let body = part.len().checked_sub(4).filter(|end| *end >= lead).ok_or_else(|| too_long(address))?;
        let (covered, stored) = (part.slice(..body), Cursor::new(part.slice(body..)).u32()?);
        if metadata_checksum(&covered) != stored {
            return Err(Error::data_loss(format!("the object header at {address:#x} fails its checksum")));
        }
        let mut cursor = Cursor::new(covered.slice(lead..));
        let envelope = if ordered { 6 } else { 4 };
        while cursor.remaining() >= envelope {
            let kind = u16::from(cursor.u8()?);
            let length = usize::from(cursor.u16()?);
            let flags = cursor.u8()?;
            cursor.skip(envelope - 4)?;
            let body = cursor.take(length)?;
            self.add(kind, flags, body)?;
        }
        Ok(())
    }

    fn part(&mut self, address: u64, size: u64) -> Result<Bytes> {
        if !self.seen.insert(address) {
            return Err(Error::data_loss(format!("the object header continues at {address:#x} twice")));
        }
        let size = usize::try_from(size).map_err(|_| too_long(address))?;
        self.bytes = self.bytes.saturating_add(size);
        if self.bytes > MAX_HEADER_BYTES {
            return Err(too_long(address));
        }
        self.view.read(address, size)
    }

    fn add(&mut self, kind: u16, flags: u8, body: Bytes) -> Result<()> {
        match kind {
            kind::NIL => {}
            kind::CONTINUATION => {
                let mut cursor = Cursor::new(body);
                let address = cursor.address(self.view.addressing.offset_size)?;
                let address = address.ok_or_else(|| Error::data_loss("an object header continues nowhere"))?;
                let length = cursor.unsigned(usize::from(self.view.addressing.length_size))?;
                self.parts.push((address, length));
            }
            _ => self.messages.push(Message { kind, shared: flags & 2 != 0, body }),
        }
        Ok(())
    }
}

/// Whether the parse will be done again with more bytes.
fn is_missing(error: &Error) -> bool {
    error.kind() == Kind::Unavailable
}

fn too_long(address: u64) -> Error {
    Error::data_loss(format!(
        "the object header at {address:#x} has an impossible size (limit {MAX_HEADER_BYTES} bytes)"
    ))
}
