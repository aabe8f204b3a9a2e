//! The central directory of an archive: its entries by name. Pure.

use std::sync::atomic::AtomicU64;

use super::end::Place;
use super::fields::{eight, four, two};
use crate::error::{Error, Result};

/// Largest central directory, in bytes.
pub const MAX_DIRECTORY_BYTES: u64 = 64 << 20;
/// Most entries of an archive.
pub const MAX_ENTRIES: u64 = 500_000;

/// Bytes of an entry's header here, without name, extra fields and comment.
const HEADER_BYTES: usize = 46;
/// Bytes of an entry's header before its content, without name and extra fields.
pub(super) const LOCAL_HEADER_BYTES: u64 = 30;
/// The extra field with numbers of more than 4 bytes.
const LARGE: u16 = 1;

const ENCRYPTED: u16 = 1;
const STRONGLY_ENCRYPTED: u16 = 1 << 6;
const UTF8: u16 = 1 << 11;
const MASKED: u16 = 1 << 13;

/// The upper half of code page 437, in which names are written that are not marked as UTF-8.
const CODE_PAGE_437: &str = "ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜ¢£¥₧ƒáíóúñÑªº¿⌐¬½¼¡«»░▒▓│┤╡╢╖╕╣║╗╝╜╛┐└┴┬├─┼╞╟╚╔╩╦╠═╬╧╨╤╥╙╘╒╓╫╪┘┌█▄▌▐▀αßΓπΣσµτΦΘΩδ∞φε∩≡±≥≤⌠⌡÷≈°∙·√ⁿ²■\u{a0}";

/// The entries of an archive, folders left out.
#[derive(Debug)]
pub(super) struct Directory {
    /// In byte order of the name; each name once.
    entries: Vec<Entry>,
    /// Where the content of each entry starts; 0 until its local header was read.
    pub(super) starts: Vec<AtomicU64>,
    /// Where the directory starts: entries end before.
    pub(super) start: u64,
}

/// One entry as the directory describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) name: Box<str>,
    /// Where its local header starts.
    pub(super) offset: u64,
    /// Bytes in the archive.
    pub(super) compressed: u64,
    /// Bytes of its content.
    pub(super) size: u64,
    /// CRC-32 of its content.
    pub(super) checksum: u32,
    pub(super) flags: u16,
    pub(super) method: u16,
    /// Bytes of its name.
    name_bytes: u16,
    /// Bytes of its extra fields in the directory.
    extra_bytes: u16,
}

/// How an entry's content lies in the archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Method {
    /// As it is.
    Stored,
    /// Deflated.
    Deflated,
}

impl Directory {
    /// The directory in `bytes`, which lie at `place`.
    ///
    /// # Errors
    /// `DataLoss` when it is damaged, also when an entry lies outside the archive; `Unimplemented` when
    /// it is encrypted or of several disks.
    pub(super) fn parse(bytes: &[u8], place: &Place) -> Result<Self> {
        let mut rest = bytes;
        let mut entries = Vec::with_capacity(usize::try_from(place.entries.min(MAX_ENTRIES)).unwrap_or(0));
        for number in 0..place.entries {
            let (entry, after) = Entry::parse(rest, place.range.start, number)?;
            rest = after;
            if !entry.name.ends_with('/') {
                entries.push(entry);
            }
        }
        if !rest.is_empty() {
            return Err(damaged(place.entries, format_args!("{} bytes follow the last entry", rest.len())));
        }
        // A stable sort: of entries of one name the last one stays.
        entries.sort_by(|left, right| left.name.cmp(&right.name));
        entries.reverse();
        entries.dedup_by(|left, right| left.name == right.name);
        entries.reverse();
        entries.shrink_to_fit();
        let starts = entries.iter().map(|_| AtomicU64::new(0)).collect();
        Ok(Self { entries, starts, start: place.range.start })
    }

    /// The entry called `name`, and its place in the order.
    pub(super) fn find(&self, name: &str) -> Option<(usize, &Entry)> {
        let index = self.entries.binary_search_by(|entry| entry.name.as_ref().cmp(name)).ok()?;
        self.entries.get(index).map(|entry| (index, entry))
    }

    /// Names that start with `prefix`, in byte order.
    pub(super) fn starting_with<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = &'a str> {
        let first = self.entries.partition_point(|entry| entry.name.as_ref() < prefix);
        let names = self.entries.iter().skip(first).map(|entry| entry.name.as_ref());
        names.take_while(move |name| name.starts_with(prefix))
    }
}

impl Entry {
    /// The entry at the start of `bytes`, and the bytes after it. Entries end before `limit`.
    fn parse(bytes: &[u8], limit: u64, number: u64) -> Result<(Self, &[u8])> {
        let cut = || damaged(number, "it is cut off");
        if !bytes.starts_with(b"PK\x01\x02") {
            return Err(damaged(number, "no entry starts there"));
        }
        let short = |at: usize| two(bytes, at).ok_or_else(cut);
        let long = |at: usize| four(bytes, at).map(u64::from).ok_or_else(cut);
        let (flags, name_bytes, extra_bytes) = (short(8)?, short(28)?, short(30)?);
        let mut rest = bytes.get(HEADER_BYTES..).ok_or_else(cut)?;
        let mut take = |length: u16| {
            let (taken, after) = rest.split_at_checked(usize::from(length)).ok_or_else(cut)?;
            rest = after;
            Ok::<_, Error>(taken)
        };
        let (name, extra, _comment) = (take(name_bytes)?, take(extra_bytes)?, take(short(32)?)?);
        if flags & MASKED != 0 {
            return Err(Error::unimplemented("archives with an encrypted directory are not supported"));
        }
        let name = text(name, flags & UTF8 != 0).ok_or_else(|| damaged(number, "its name is not UTF-8"))?;
        let mut large = Large::of(extra, &name)?;
        let size = large.instead(long(24)?)?;
        let compressed = large.instead(long(20)?)?;
        let offset = large.instead(long(42)?)?;
        if !matches!(short(34)?, 0 | 0xffff) {
            return Err(Error::unimplemented("archives of several disks are not supported"));
        }
        let checksum = four(bytes, 16).ok_or_else(cut)?;
        let method = short(10)?;
        let entry =
            Self { name: name.into(), offset, compressed, size, checksum, flags, method, name_bytes, extra_bytes };
        entry.check(limit)?;
        Ok((entry, rest))
    }

    /// Whether the entry can lie where the directory says.
    fn check(&self, limit: u64) -> Result<()> {
        let header = LOCAL_HEADER_BYTES.saturating_add(u64::from(self.name_bytes));
        let end = self.offset.checked_add(header).and_then(|start| start.checked_add(self.compressed));
        if end.is_none_or(|end| end > limit) {
            return Err(Error::data_loss(format!(
                "entry '{}' of {} bytes at {} lies outside the archive, whose entries end at {limit}",
                self.name, self.compressed, self.offset
            )));
        }
        if self.method == 0 && self.flags & ENCRYPTED == 0 && self.compressed != self.size {
            return Err(Error::data_loss(format!(
                "entry '{}' is stored as it is, but has {} bytes in the archive and {} outside",
                self.name, self.compressed, self.size
            )));
        }
        Ok(())
    }

    /// How the content lies in the archive.
    ///
    /// # Errors
    /// `Unimplemented` when it is encrypted or compressed in another way.
    pub(super) fn method(&self) -> Result<Method> {
        if self.flags & (ENCRYPTED | STRONGLY_ENCRYPTED) != 0 {
            return Err(Error::unimplemented(format!("entry '{}' is encrypted, which is not supported", self.name)));
        }
        match self.method {
            0 => Ok(Method::Stored),
            8 => Ok(Method::Deflated),
            other => Err(Error::unimplemented(format!(
                "entry '{}' has compression method {other}; supported are 0 (stored) and 8 (deflated)",
                self.name
            ))),
        }
    }

    /// Where the content starts if the local header has the extra fields of the directory.
    pub(super) fn guessed_start(&self) -> u64 {
        let header = LOCAL_HEADER_BYTES + u64::from(self.name_bytes) + u64::from(self.extra_bytes);
        self.offset.saturating_add(header)
    }

    /// Whether `name` and `flags`, as a local header has them, are this entry's.
    pub(super) fn is_called(&self, name: &[u8], flags: u16) -> bool {
        text(name, flags & UTF8 != 0).is_some_and(|name| name == self.name.as_ref())
    }
}

/// The numbers of an entry's extra field for large archives, which come in order for those fields of
/// the header that are full.
struct Large<'a> {
    numbers: &'a [u8],
    name: &'a str,
}

impl<'a> Large<'a> {
    fn of(mut extra: &'a [u8], name: &'a str) -> Result<Self> {
        while let Some((kind, length)) = two(extra, 0).zip(two(extra, 2)) {
            let end = usize::from(length) + 4;
            let field = extra.get(4..end).ok_or_else(|| {
                Error::data_loss(format!("entry '{name}' has an extra field of {length} bytes, which is cut off"))
            })?;
            if kind == LARGE {
                return Ok(Self { numbers: field, name });
            }
            extra = extra.get(end..).unwrap_or_default();
        }
        Ok(Self { numbers: &[], name })
    }

    /// `small`, or the next number when that is full.
    fn instead(&mut self, small: u64) -> Result<u64> {
        if small != 0xffff_ffff {
            return Ok(small);
        }
        let number = eight(self.numbers, 0).ok_or_else(|| {
            Error::data_loss(format!("entry '{}' lacks a number in its zip64 extra field", self.name))
        })?;
        self.numbers = self.numbers.get(8..).unwrap_or_default();
        Ok(number)
    }
}

/// A name: UTF-8 where it says so, else code page 437.
fn text(name: &[u8], is_utf8: bool) -> Option<String> {
    if is_utf8 {
        return String::from_utf8(name.to_vec()).ok();
    }
    let upper = |byte: u8| CODE_PAGE_437.chars().nth(usize::from(byte).checked_sub(0x80)?);
    name.iter().map(|byte| if byte.is_ascii() { Some(char::from(*byte)) } else { upper(*byte) }).collect()
}

fn damaged(number: u64, what: impl std::fmt::Display) -> Error {
    Error::data_loss(format!("its directory is damaged at entry {number}: {what}"))
}
