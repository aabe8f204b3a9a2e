//! Reads little-endian numbers and names off a message, never past its end.

use bytes::Bytes;

use crate::error::{Error, Result};

/// A place in the bytes of one message.
#[derive(Clone, Debug)]
pub(super) struct Cursor {
    bytes: Bytes,
    at: usize,
}

impl Cursor {
    pub(super) fn new(bytes: Bytes) -> Self {
        Self { bytes, at: 0 }
    }

    /// Bytes not read yet.
    pub(super) fn remaining(&self) -> usize {
        self.bytes.len().saturating_sub(self.at)
    }

    /// The next `length` bytes.
    pub(super) fn take(&mut self, length: usize) -> Result<Bytes> {
        match self.at.checked_add(length) {
            Some(end) if end <= self.bytes.len() => {
                let taken = self.bytes.slice(self.at..end);
                self.at = end;
                Ok(taken)
            }
            _ => Err(Error::data_loss(format!(
                "a message of {} bytes ends before byte {} + {length}",
                self.bytes.len(),
                self.at
            ))),
        }
    }

    pub(super) fn skip(&mut self, length: usize) -> Result<()> {
        self.take(length).map(drop)
    }

    pub(super) fn u8(&mut self) -> Result<u8> {
        Ok(self.unsigned(1)? as u8)
    }

    pub(super) fn u16(&mut self) -> Result<u16> {
        Ok(self.unsigned(2)? as u16)
    }

    pub(super) fn u32(&mut self) -> Result<u32> {
        Ok(self.unsigned(4)? as u32)
    }

    /// A little-endian number of `size` bytes, at most 8.
    pub(super) fn unsigned(&mut self, size: usize) -> Result<u64> {
        let bytes = self.take(size.min(8))?;
        Ok(bytes.iter().rev().fold(0, |number, byte| (number << 8) | u64::from(*byte)))
    }

    /// A file address of `size` bytes; `None` when it is undefined (all bits set).
    pub(super) fn address(&mut self, size: u8) -> Result<Option<u64>> {
        let number = self.unsigned(usize::from(size))?;
        Ok(Some(number).filter(|number| !is_undefined(*number, size)))
    }

    /// Bytes up to the next null, which is read too.
    pub(super) fn name(&mut self) -> Result<String> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let length = rest
            .iter()
            .position(|byte| *byte == 0)
            .ok_or_else(|| Error::data_loss("a name in a message has no end"))?;
        let name = name(&self.take(length)?);
        self.skip(1)?;
        Ok(name)
    }

    /// Skips to the next multiple of 8 after `used` bytes.
    pub(super) fn pad(&mut self, used: usize) -> Result<()> {
        self.skip(used.next_multiple_of(8) - used)
    }

    /// How many bytes were read.
    pub(super) fn position(&self) -> usize {
        self.at
    }
}

/// Whether `address` of `size` bytes means "nowhere".
pub(super) fn is_undefined(address: u64, size: u8) -> bool {
    match size {
        1..=7 => address == (1 << (u32::from(size) * 8)) - 1,
        _ => address == u64::MAX,
    }
}

/// A name; bytes of one that is not UTF-8 as `\xNN`.
pub(super) fn name(bytes: &[u8]) -> String {
    std::str::from_utf8(bytes).map_or_else(|_| bytes.escape_ascii().to_string(), str::to_owned)
}

/// `bytes` as UTF-8 text.
pub(super) fn text(bytes: &[u8]) -> Result<String> {
    std::str::from_utf8(bytes)
        .map(str::to_owned)
        .map_err(|_| Error::data_loss(format!("the name '{}' is not UTF-8", String::from_utf8_lossy(bytes))))
}
