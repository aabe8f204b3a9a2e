//! The end of an archive: where its central directory lies. Pure.

use std::ops::Range;

use super::directory::{MAX_DIRECTORY_BYTES, MAX_ENTRIES};
use super::fields::{eight, four, two};
use crate::error::{Error, Result};

/// Bytes in which the end record lies: itself and its longest comment.
pub(super) const TAIL_BYTES: u64 = 22 + 0xffff;
/// Bytes of the record of larger archives, without its own extensible part.
pub(super) const LARGE_BYTES: u64 = 56;

/// Bytes of the end record without its comment.
const END_BYTES: usize = 22;
/// Bytes of the locator of the record of larger archives.
const LOCATOR_BYTES: u64 = 20;
/// Bytes of a directory entry without name, extra fields and comment.
const SMALLEST_ENTRY_BYTES: u64 = 46;

/// What the end record says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct End {
    disk: u32,
    directory_disk: u32,
    entries_here: u64,
    entries: u64,
    bytes: u64,
    start: u64,
    /// Where this record starts: the directory ends before.
    at: u64,
}

/// Where the directory lies, and how many entries it has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) range: Range<u64>,
    pub(super) entries: u64,
}

/// The end record in `tail`, the last bytes of an archive, which start at `tail_start`; and where the
/// record of a larger archive starts, if there is one.
///
/// # Errors
/// `DataLoss` when there is no end record that ends where the archive does.
pub(super) fn find(tail: &[u8], tail_start: u64) -> Result<(End, Option<u64>)> {
    let ends_here = |at: &usize| {
        let record = tail.get(*at..).unwrap_or_default();
        let comment = two(record, 20).map(usize::from);
        record.starts_with(b"PK\x05\x06")
            && comment.and_then(|comment| comment.checked_add(END_BYTES)) == Some(record.len())
    };
    let last = tail.len().checked_sub(END_BYTES);
    let at = last.and_then(|last| (0..=last).rev().find(ends_here)).ok_or_else(|| {
        Error::data_loss("it is cut off or no zip archive: the record of its end is not found in its last 64 KiB")
    })?;
    let record = tail.get(at..).unwrap_or_default();
    let short = |place: usize| two(record, place).map(u64::from);
    let position = tail_start.saturating_add(at as u64);
    let end = (|| {
        Some(End {
            disk: u32::from(two(record, 4)?),
            directory_disk: u32::from(two(record, 6)?),
            entries_here: short(8)?,
            entries: short(10)?,
            bytes: u64::from(four(record, 12)?),
            start: u64::from(four(record, 16)?),
            at: position,
        })
    })();
    let end = end.ok_or_else(|| Error::internal("the record of an archive's end was not read whole"))?;
    let locator = at.checked_sub(LOCATOR_BYTES as usize).and_then(|start| tail.get(start..at));
    let Some(locator) = locator.filter(|locator| locator.starts_with(b"PK\x06\x07")) else { return Ok((end, None)) };
    match (four(locator, 4), eight(locator, 8), four(locator, 16)) {
        (Some(0), Some(large), Some(0 | 1)) => Ok((end, Some(large))),
        _ => Err(several_disks()),
    }
}

impl End {
    /// This record, with what the record of a larger archive, found at `at`, says instead.
    ///
    /// # Errors
    /// `DataLoss` when there is no such record.
    pub(super) fn larger(self, record: &[u8], at: u64) -> Result<Self> {
        let larger = (|| {
            record.starts_with(b"PK\x06\x06").then_some(())?;
            let instead = |small: u64, limit: u64, large: u64| if small == limit { large } else { small };
            let disk = |small: u32, large: u32| if small == 0xffff { large } else { small };
            Some(Self {
                disk: disk(self.disk, four(record, 16)?),
                directory_disk: disk(self.directory_disk, four(record, 20)?),
                entries_here: instead(self.entries_here, 0xffff, eight(record, 24)?),
                entries: instead(self.entries, 0xffff, eight(record, 32)?),
                bytes: instead(self.bytes, 0xffff_ffff, eight(record, 40)?),
                start: instead(self.start, 0xffff_ffff, eight(record, 48)?),
                at,
            })
        })();
        larger.ok_or_else(|| Error::data_loss(format!("it is damaged: no zip64 end record at byte {at}")))
    }

    /// Where the directory lies.
    ///
    /// # Errors
    /// `Unimplemented` for several disks, `DataLoss` when the directory cannot lie where the record says,
    /// `ResourceExhausted` above a limit.
    pub(super) fn place(&self) -> Result<Place> {
        if self.disk != 0 || self.directory_disk != 0 || self.entries_here != self.entries {
            return Err(several_disks());
        }
        let end = self.start.checked_add(self.bytes).filter(|end| *end <= self.at);
        let fits = self.entries.checked_mul(SMALLEST_ENTRY_BYTES).is_some_and(|least| least <= self.bytes);
        let Some(end) = end.filter(|_| fits) else {
            return Err(Error::data_loss(format!(
                "it is damaged: its directory of {} entries cannot have {} bytes at {}, before byte {}",
                self.entries, self.bytes, self.start, self.at
            )));
        };
        for (found, limit, name) in
            [(self.bytes, MAX_DIRECTORY_BYTES, "MAX_DIRECTORY_BYTES"), (self.entries, MAX_ENTRIES, "MAX_ENTRIES")]
        {
            if found > limit {
                return Err(Error::resource_exhausted(format!(
                    "its directory has {found}, the limit ({name}) is {limit}"
                )));
            }
        }
        Ok(Place { range: self.start..end, entries: self.entries })
    }
}

fn several_disks() -> Error {
    Error::unimplemented("archives of several disks are not supported")
}
